"""What is dropped is counted, by every thread, and from zero in a forked child."""

from concurrent.futures import ThreadPoolExecutor

from otelml._drops import Drops


def test_counts_by_what_and_where():
    """Each pair has its own count; nothing and less than nothing are not counted."""
    drops = Drops()
    drops.add("span", "queue")
    drops.add("span", "queue", 4)
    drops.add("log", "queue", 0)
    drops.add("log", "buffer", -1)
    assert drops.counts() == {("span", "queue"): 5}


def test_threads_lose_nothing():
    """Four threads of ten thousand are forty thousand."""
    drops = Drops()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: [drops.add("span", "queue") for _ in range(10_000)], range(4)))
    assert drops.counts() == {("span", "queue"): 40_000}


def test_reset_frees_a_lock_that_a_parents_thread_held():
    """After a fork the counts are zero and a lock held across it is no longer in the way."""
    drops = Drops()
    drops.add("span", "queue")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(drops._lock.acquire).result()
        drops.reset()
        drops.add("log", "queue")
    assert drops.counts() == {("log", "queue"): 1}


def test_reentrant():
    """A finaliser that runs while a drop is being counted may count one itself."""
    drops = Drops()
    with drops._lock:
        drops.add("span", "queue")
    assert drops.counts() == {("span", "queue"): 1}
