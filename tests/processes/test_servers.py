"""Servers with several workers: every request is counted once, whoever starts otelml and however a worker ends."""

import os
import signal
import sqlite3
import sys
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
import serving
from celery import Celery
from prometheus_client.parser import text_string_to_metric_families
from served import WARM
from serving import GrpcEndpoint, HttpEndpoint, Served, environment, free_port

WAYS = ("parent", "child", "both", "otelml run")
WORKERS = {"sync": "sync", "gthread": "gthread", "gevent": "gevent", "uvicorn": "uvicorn_worker.UvicornWorker"}
REQUESTS = 200


def mark_of(model, way, *values):
    """Return the parameters of a test of one cell of the table."""
    name = "-".join([model, way] if way in values else [model]).replace(" ", "-").replace(",", "")
    return pytest.param(*values, id=name.replace("---", "-"), marks=pytest.mark.process_model(model, way))


@pytest.fixture
def endpoint():
    """Run an OTLP/HTTP endpoint."""
    made = HttpEndpoint()
    yield made
    made.close()


def launcher(way):
    """Return what comes before the command."""
    return (sys.executable, "-m", "otelml", "run", "--") if way == "otelml run" else ()


def gunicorn(folder, endpoint, way, worker, *options, workers=2, **more):
    """Start gunicorn with otelml started the given way, and wait until it listens."""
    port = free_port()
    preload = "--preload" in options
    settings = {"WAY": way.removeprefix("otelml ")}
    if way in ("parent", "both"):
        settings |= {"AT_IMPORT": "parent"} if preload else {"IN_CONF": "1"}
    if way in ("child", "both"):
        settings |= {"IN_HOOK": "1"}
    if way == "otelml run":
        settings |= {"IN_CONF": "1"}
    app = "served:asgi" if worker == "uvicorn" else "served:wsgi"
    threads = ["--threads", "4"] if worker == "gthread" else []
    command = [
        *launcher(way),
        *(str(serving.BIN / "gunicorn"), "-c", str(serving.HERE / "gunicorn_conf.py"), "-b", f"127.0.0.1:{port}"),
        *("-w", "2", "-k", WORKERS[worker], *threads, *options, app),
    ]
    server = Served(command, environment(folder, endpoint, **{**settings, **more}), folder, port)
    server.wait_until_listening()
    server.wait_for(lambda: len(server.notes("booted")) >= workers)
    return server


GUNICORNS = [("gunicorn", worker, *preload) for preload in ((), ("--preload",)) for worker in WORKERS]


@pytest.mark.parametrize(
    ("model", "way"), [mark_of(" ".join(model), way, model, way) for model in GUNICORNS for way in WAYS]
)
def test_gunicorn(endpoint, tmp_path, model, way):
    """Two workers count what was sent, exactly, when gunicorn is stopped gracefully."""
    _, worker, *options = model
    with gunicorn(tmp_path, endpoint, way, worker, *options) as server:
        sent = server.load(REQUESTS)
        assert sent == REQUESTS, server.said()
        code, _ = server.end(signal.SIGTERM)
    assert code == 0, server.said()
    assert bool(server.warmed()) == (way != "child")
    endpoint.check(sent + server.warmed())
    assert "Traceback" not in server.said()


@pytest.mark.parametrize(
    "worker", [mark_of(f"gunicorn {worker}, in the application", "child", worker) for worker in WORKERS]
)
def test_gunicorn_application(endpoint, tmp_path, worker):
    """The same where the application, which each worker imports for itself, starts otelml."""
    with gunicorn(tmp_path, endpoint, "child", worker, IN_HOOK="", AT_IMPORT="child") as server:
        assert server.load(REQUESTS) == REQUESTS
        assert server.end()[0] == 0
    endpoint.check(REQUESTS)
    assert len(endpoint.last("ml.requests")) == len(server.pids) == 2


def uvicorn(folder, endpoint, way, **more):
    """Start uvicorn with four workers, and wait until it listens."""
    port = free_port()
    settings = {"WAY": way.removeprefix("otelml "), "PORT": str(port)}
    if way in ("child", "both"):
        settings["AT_IMPORT"] = "child"
    command = (
        str(serving.BIN / "uvicorn"),
        "served:asgi",
        "--workers",
        "4",
        "--port",
        str(port),
        "--log-level",
        "warning",
    )
    if way in ("parent", "both"):
        command = (sys.executable, str(serving.HERE / "uvicorn_main.py"))
    server = Served([*launcher(way), *command], environment(folder, endpoint, **{**settings, **more}), folder, port)
    server.wait_for(lambda: server.get() is not None)
    server.pids["first"] = 1
    return server


@pytest.mark.parametrize("way", [mark_of("uvicorn --workers 4", way, way) for way in WAYS])
def test_uvicorn(endpoint, tmp_path, way):
    """Four workers of uvicorn count what was sent, exactly, though uvicorn ends them by a signal."""
    with uvicorn(tmp_path, endpoint, way) as server:
        assert server.load(REQUESTS) == REQUESTS, server.said()
        server.end()
    endpoint.check(1 + REQUESTS + server.warmed())
    assert "Traceback" not in server.said()


def celery(folder, endpoint, way, *options, **more):
    """Start a Celery worker with two processes, and wait until it takes tasks."""
    (folder / "broker").mkdir()
    settings = {"WAY": way.removeprefix("otelml "), "IN_WORKER": "1"}
    command = (str(serving.BIN / "celery"), "-A", "tasks", "worker", "-c", "2", "-P", "prefork", "-l", "warning")
    without = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    environ = environment(folder, endpoint, **{**settings, **more})
    return Served([*launcher(way), *command, *without, *options], environ, folder)


def send_tasks(server, number):
    """Send tasks through the folder that is the broker, and wait until all are done."""
    folder = str(server.folder / "broker")
    app = Celery(broker="filesystem://")
    app.conf.broker_transport_options = {
        **dict.fromkeys(("data_folder_in", "data_folder_out"), folder),
        "control_folder": str(Path(folder).with_name("control")),
    }
    for _ in range(number):
        app.send_task("tasks.predict", ignore_result=True)
    app.close()
    server.wait_for(lambda: sum(map(len, server.notes("done").values())) == number)


@pytest.mark.parametrize("way", [mark_of("celery prefork", way, way) for way in WAYS])
def test_celery(endpoint, tmp_path, way):
    """Two processes of Celery's pool count every task, though they end by ``os._exit``."""
    with celery(tmp_path, endpoint, way) as server:
        send_tasks(server, REQUESTS)
        code, _ = server.end()
    assert code == 0, server.said()
    assert bool(server.warmed()) == (way != "child")
    endpoint.check(REQUESTS + server.warmed())
    assert "Traceback" not in server.said()


# How a worker ends --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("worker", "preload"),
    [*((worker, ()) for worker in WORKERS), ("gthread", ("--preload",))],
    ids=[*WORKERS, "gthread-preload"],
)
def test_recycled_workers(endpoint, tmp_path, worker, preload):
    """Workers that are replaced after some requests lose none, and each of them counts from zero."""
    way = "parent" if preload else "child"
    options = ("--max-requests", "25", "--max-requests-jitter", "5", *preload)
    with gunicorn(tmp_path, endpoint, way, worker, *options) as server:
        sent = server.load(REQUESTS // 2, at_once=4)
        time.sleep(1.5)  # gevent's worker looks once a second whether it is to end
        sent += server.load(REQUESTS // 2, at_once=4)
        server.wait_until_booted()
        server.end()
    endpoint.check(sent + server.warmed())
    counted = endpoint.last("ml.requests")
    assert len(counted) > 2, counted  # two workers at a time, so that one was replaced


@pytest.mark.parametrize(
    ("worker", "number"),  # uvicorn's worker hangs, without otelml too
    [("sync", signal.SIGINT), ("gthread", signal.SIGQUIT), ("gevent", signal.SIGINT)],
    ids=["sync-SIGINT", "gthread-SIGQUIT", "gevent-SIGINT"],
)
def test_quick_stop(endpoint, tmp_path, worker, number):
    """A quick stop, which ends workers by an exception inside their signal handler, loses nothing."""
    with gunicorn(tmp_path, endpoint, "parent", worker, "--preload") as server:
        sent = server.load(60)
        server.end(number)
    endpoint.check(sent + server.warmed())


def test_a_worker_that_exits_in_a_request(endpoint, tmp_path):
    """A request that calls ``sys.exit`` is counted as well, and so are those before it."""
    with gunicorn(tmp_path, endpoint, "child", "sync") as server:
        sent = server.load(60)
        assert server.get("/exit") is None
        server.wait_until_booted()
        server.end()
    endpoint.check(sent + 1)
    assert len(endpoint.last("ml.requests")) >= 2


def test_recycled_processes_of_celery(endpoint, tmp_path):
    """Processes of the pool that are replaced after some tasks lose none."""
    with celery(tmp_path, endpoint, "parent", "--max-tasks-per-child", "20") as server:
        send_tasks(server, 100)
        server.end()
    endpoint.check(100 + server.warmed())
    assert len(endpoint.last("ml.requests")) >= 5


ENDS = {
    "SIGTERM": ("signal", signal.SIGTERM, -signal.SIGTERM),
    "SIGINT": ("signal", signal.SIGINT, -signal.SIGINT),
    "sys.exit": ("exit", None, 3),
    "exception": ("error", None, 1),
    "end": ("end", None, 0),
}


def scripts(folder, endpoint, way, **more):
    """Start a program for every end; end them; return seconds by end."""
    started = {}
    for end, (argument, _, _) in ENDS.items():
        own = folder / end
        own.mkdir()
        environ = environment(own, endpoint, WAY=way, **more)
        started[end] = Served([*launcher(way), sys.executable, str(serving.HERE / "script.py"), argument], environ, own)
    took = {}
    for end, (_, number, code) in ENDS.items():
        server = started[end]
        if number is not None:
            server.wait_for(lambda server=server: server.notes("ready"))
            server.process.send_signal(number)
        begin = time.monotonic()
        assert server.process.wait(30) == code, server.said()
        took[end] = time.monotonic() - begin
    return took


@pytest.mark.parametrize("way", [mark_of("script", way, way) for way in ("parent", "otelml run")])
def test_scripts(endpoint, tmp_path, way):
    """A program that ends by SIGTERM, SIGINT, ``sys.exit``, an exception or its last line has sent everything."""
    scripts(tmp_path, endpoint, way)
    endpoint.check(len(ENDS) * WARM)


# Endpoints that are down --------------------------------------------------------------------------------------------


class Down:
    """An endpoint where nobody listens."""

    def __init__(self):
        self.settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"}

    def close(self):
        """Do nothing."""


@pytest.fixture(params=["down", "silent"])
def dead(request):
    """Have an endpoint that takes nothing, or takes all and never answers."""
    made = Down() if request.param == "down" else HttpEndpoint(silent=True)
    yield made
    made.close()


LIMIT = 5.0
"""Seconds that a dead endpoint may add to an exit: OTELML_SHUTDOWN_TIMEOUT (3 s), and what a busy machine adds."""
SERVERS = {
    "gunicorn sync": lambda folder, endpoint: gunicorn(folder, endpoint, "parent", "sync", "--preload", COLD="1"),
    "gunicorn gevent": lambda folder, endpoint: gunicorn(folder, endpoint, "parent", "gevent", "--preload", COLD="1"),
    "uvicorn --workers 4": lambda folder, endpoint: uvicorn(folder, endpoint, "child"),
    "celery prefork": lambda folder, endpoint: celery(folder, endpoint, "parent", COLD="1"),
}


@pytest.mark.parametrize("name", SERVERS)
def test_servers_end_in_time(endpoint, dead, tmp_path, name, record_property):
    """A dead endpoint adds no more to the end of a server, its master included, than one process may take."""
    with ExitStack() as stack:
        servers = []
        for kind, where in (("up", endpoint), ("dead", dead)):
            (tmp_path / kind).mkdir()
            servers.append(stack.enter_context(SERVERS[name](tmp_path / kind, where)))
        for server in servers:
            send_tasks(server, 20) if server.port is None else server.load(20)
        begin, took = time.monotonic(), []
        for server in servers:
            server.process.send_signal(signal.SIGTERM)
        for server in servers:
            server.process.wait(60)
            took.append(round(time.monotonic() - begin, 2))
    record_property("seconds", took)
    assert took[1] - took[0] < LIMIT, took


def test_scripts_end_in_time(endpoint, dead, tmp_path):
    """A dead endpoint adds no more to the end of a program than it may take."""
    for kind in ("up", "dead"):
        (tmp_path / kind).mkdir()
    up, took = scripts(tmp_path / "up", endpoint, "parent"), scripts(tmp_path / "dead", dead, "parent")
    assert max(took[end] - up[end] for end in ENDS) < LIMIT, (up, took)


# Connections, names -------------------------------------------------------------------------------------------------


def test_grpc(tmp_path):
    """Over gRPC too, children of a master with a warm channel count exactly, on connections of their own."""
    endpoint = GrpcEndpoint()
    with gunicorn(tmp_path, endpoint, "parent", "sync", "--preload") as server:
        sent = server.load(REQUESTS)
        server.end()
    endpoint.close()
    endpoint.check(sent + server.warmed())
    assert len(set().union(*endpoint.speakers.values())) == 3  # check() has seen that no connection has two speakers


@pytest.mark.parametrize(("way", "options"), [("parent", ("--preload",)), ("child", ())], ids=["preload", "plain"])
def test_a_name_of_ones_own(endpoint, tmp_path, way, options):
    """A ``service.instance.id`` that the user gives begins those of the workers, each of which has its own."""
    named = {"OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=web-1"}
    with gunicorn(tmp_path, endpoint, way, "sync", *options, **named) as server:
        sent = server.load(60)
        server.end()
    endpoint.check(sent + server.warmed())
    names = set(endpoint.last("ml.requests"))
    assert len(names) == (3 if options else 2)
    assert all(name.startswith("web-1") for name in names), names
    assert sum(name == "web-1" for name in names) <= 1


def test_threads_of_every_kind_rest_while_gevent_patches(endpoint, tmp_path):
    """With a spool, outcomes and a scrape beside OTLP, a gevent worker counts everything, and no thread ends badly."""
    port, database = free_port(), tmp_path / "outcomes.db"
    more = {
        "OTEL_METRICS_EXPORTER": "otlp,prometheus",
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(port),
        "OTELML_PROMETHEUS_DIR": str(tmp_path / "shared"),
        "OTELML_SPOOL_DIR": str(tmp_path / "spool"),
        "OTELML_OUTCOMES_DATABASE": f"sqlite:///{database}",
    }
    with gunicorn(tmp_path, endpoint, "child", "gevent", **more) as server:
        sent = server.load(60)
        server.wait_for(lambda: scraped(port) == sent, 30)
        server.end(signal.SIGTERM)
    endpoint.check(sent)
    with sqlite3.connect(database) as rows:
        assert rows.execute("SELECT COUNT(*) FROM otelml_predictions").fetchone() == (sent,)
    assert "Traceback" not in server.said(), server.said()


# One endpoint for Prometheus ------------------------------------------------------------------------------------------


def scraped(port):
    """Scrape; return requests counted by all workers, None where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
            text = answer.read().decode()
    except OSError:
        return None
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    series = [(sample.name, *sorted(sample.labels.items())) for sample in samples]
    assert len(set(series)) == len(series), "a series twice"
    return sum(sample.value for sample in samples if sample.name == "ml_requests_total")


def pulled(folder, way, worker, *options, **more):
    """Start gunicorn for a scrape, on a port of its own or of the application."""
    settings = {"OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "COLD": "1", **more}
    return gunicorn(folder, Down(), way, worker, *options, **settings)


PULLS = [
    pytest.param("sync", "child", (), id="sync"),
    pytest.param("gthread", "parent", ("--preload",), id="gthread"),
    pytest.param("gevent", "child", (), id="gevent"),
    pytest.param("uvicorn", "otelml run", (), id="uvicorn"),
]


@pytest.mark.parametrize(("worker", "way", "options"), PULLS)
def test_a_port_that_answers_for_all(tmp_path, worker, way, options):
    """One port tells the sum over the workers, those that have ended included: exact, and it never falls."""
    port = free_port()
    shared = {"OTEL_EXPORTER_PROMETHEUS_PORT": str(port), "OTELML_PROMETHEUS_DIR": str(tmp_path / "shared")}
    with pulled(tmp_path, way, worker, *options, OTEL_METRICS_EXPORTER="prometheus", **shared) as server:
        sent = server.load(60)
        server.wait_for(lambda: scraped(port) == sent + server.warmed(), 30)
        for pid in list(server.pids):
            os.kill(int(pid), signal.SIGTERM)
        seen = [sent]
        for _ in range(20):
            seen.append(scraped(port) or seen[-1])
            time.sleep(0.1)
        server.wait_until_booted()
        sent += server.load(60)
        server.wait_for(lambda: scraped(port) == sent + server.warmed(), 30)
        assert seen == sorted(seen)
        assert seen[-1] <= sent + server.warmed()
    assert "Traceback" not in server.said(), server.said()


def test_an_application_that_answers_for_all(tmp_path):
    """Whichever worker a scrape reaches, the mounted application tells the sum over all of them."""
    with pulled(tmp_path, "child", "gthread", OTELML_PROMETHEUS_DIR=str(tmp_path / "shared")) as server:
        sent = server.load(100)
        server.wait_for(lambda: scraped(server.port) == sent, 30)
        time.sleep(1.2)  # every worker has written what it counted
        assert [scraped(server.port) for _ in range(20)] == [sent] * 20


def test_several_workers_without_a_folder_are_refused(tmp_path):
    """A second worker that starts otelml with the same port does not serve, and the message says what to do."""
    port = str(free_port())
    settings = {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": port}
    # The worker that listens may still have its master's handlers when it is told to end: it is killed then.
    with pulled(tmp_path, "child", "sync", "--graceful-timeout", "5", workers=0, **settings) as server:
        assert server.process.wait(60) != 0
        assert f"OTEL_EXPORTER_PROMETHEUS_PORT={port}" in server.said()
        assert "set OTELML_PROMETHEUS_DIR" in server.said()


def test_forked_workers_without_a_folder_say_so(tmp_path):
    """Workers of a master that listens say that what they count is not there, and what to do."""
    settings = {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": str(free_port())}
    with pulled(tmp_path, "parent", "sync", "--preload", **settings) as server:
        server.load(20)
        server.wait_for(lambda: "set OTELML_PROMETHEUS_DIR" in server.said(), 30)
