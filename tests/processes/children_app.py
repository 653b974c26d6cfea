"""A program of the tests: predictions in a parent and its children, in one process model, with otelml started one way.

``python children_app.py MODEL WAY`` prints how many predictions each process made while otelml was on there, as JSON.
"""

import asyncio
import json
import multiprocessing
import os
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import otelml
from otelml import propagate

TASKS, EACH, BEFORE, AFTER = 3, 20, 5, 7


def auto_instrument(*ways):
    """Start otelml where this way of starting it says so."""
    if os.environ["WAY"] in ways:
        otelml.auto_instrument()


def predict(number):
    """Make some predictions; return how many were recorded, by process."""
    with otelml.prediction("m", str(os.getpid())) as p:
        p.result(classes="a", confidence=0.9)
    return Counter({str(os.getpid()): isinstance(p, otelml.Prediction)}) + (
        predict(number - 1) if number > 1 else Counter()
    )


def work(number):
    """Do what a child does."""
    auto_instrument("child", "both")
    time.sleep(0.1)  # so that every worker of a pool gets something to do
    return predict(number)


def to_queue(queue, function, number):
    """Put into a queue what a function returns."""
    queue.put(function(number))


def by_process(method, function):
    """Run the function in processes, at first in one alone."""
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    children = [context.Process(target=to_queue, args=(queue, function, EACH)) for _ in range(TASKS)]
    for child in children:
        child.start()
    found = [queue.get(timeout=30) for _ in children]
    for child in children:
        child.join()
    return found


def by_pool(method, function):
    """Run the function in a pool that is ended by a signal."""
    with multiprocessing.get_context(method).Pool(2) as pool:
        return pool.map(function, [EACH] * TASKS, chunksize=1)


def by_process_pool(method, function):
    """Run the function in an executor of processes."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        return list(pool.map(function, [EACH] * TASKS))


def by_loky(function):
    """Run the function in joblib's processes."""
    from joblib import Parallel, delayed  # noqa: PLC0415 - the others don't need it

    return Parallel(n_jobs=2)(delayed(function)(EACH) for _ in range(TASKS))


def by_thread_pool(function):
    """Run the function in a pool of threads."""
    with ThreadPoolExecutor(TASKS) as pool:
        return list(pool.map(function, [EACH] * TASKS))


def by_thread(function):
    """Run the function in threads."""
    found = []
    threads = [threading.Thread(target=lambda: found.append(function(EACH))) for _ in range(TASKS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def by_asyncio(start, function):
    """Run the function in threads of an event loop."""

    async def all_of_them():
        return await asyncio.gather(*(start(function, EACH) for _ in range(TASKS)))

    return asyncio.run(all_of_them())


def in_executor(function, number):
    """Hand the function to the loop's executor."""
    return asyncio.get_running_loop().run_in_executor(None, function, number)


def by_ray(function):
    """Run the function in an actor and in tasks of Ray."""
    import ray  # noqa: PLC0415 - the others don't need it

    class Actor:
        def work(self, carrier, number):
            """Work in the caller's context, and let nothing wait: Ray kills its processes."""
            made = propagate.call(carrier, function, number)
            otelml.force_flush()
            return made

    hook = {"worker_process_setup_hook": otelml.auto_instrument} if os.environ["WAY"] in {"parent", "both"} else {}
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False, runtime_env=hook)
    actors = [ray.remote(Actor).options(num_cpus=1).remote() for _ in range(2)]
    found = ray.get([actors[i % 2].work.remote(propagate.inject(), EACH) for i in range(TASKS)])
    ray.shutdown()
    return found


MODELS = {
    **{f"multiprocessing {m}": partial(by_process, m) for m in ("fork", "forkserver", "spawn")},
    **{f"multiprocessing.Pool {m}": partial(by_pool, m) for m in ("fork", "forkserver", "spawn")},
    **{f"ProcessPoolExecutor {m}": partial(by_process_pool, m) for m in ("fork", "forkserver", "spawn")},
    "joblib loky": by_loky,
    "ThreadPoolExecutor": by_thread_pool,
    "threads": by_thread,
    "asyncio run_in_executor": partial(by_asyncio, in_executor),
    "asyncio to_thread": partial(by_asyncio, asyncio.to_thread),
    "Ray actors": by_ray,
}


def main():
    """Predict in the parent, in children while a prediction is open there, and in the parent again."""
    os.environ["WAY"] = sys.argv[2]  # children of Ray have arguments of their own
    auto_instrument("parent", "both")
    made = predict(BEFORE)
    if isinstance(otelml.prediction(), otelml.Prediction):
        otelml.force_flush()  # so that there are totals to repeat, and a connection to share
    with otelml.prediction("m", str(os.getpid())) as p:
        children = MODELS[sys.argv[1]](propagate.wrap(work))
    made[str(os.getpid())] += isinstance(p, otelml.Prediction)
    made += predict(AFTER)
    sys.stdout.write(json.dumps(sum(children, made)))


if __name__ == "__main__":
    main()
