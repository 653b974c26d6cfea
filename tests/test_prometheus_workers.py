"""Files that processes share: their sum is exact, never falls, and outlives who wrote it."""

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource

from otelml import prometheus
from otelml.errors import ConfigError
from otelml.prometheus import PrometheusReader
from otelml.prometheus_workers import Workers, merged

RESOURCE = Resource({"service.name": "s", "service.instance.id": "one", "process.pid": 1})


class Process:
    """What one process has: a provider, its reader and its files. Several live in this one."""

    def __init__(self, folder):
        self.reader = PrometheusReader(Workers(str(folder)), RESOURCE)
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)
        meter = self.provider.get_meter("x")
        self.requests = meter.create_counter("ml.requests", "{request}", "Requests.")
        self.active = meter.create_up_down_counter("ml.requests.active", "{request}")
        self.memory = meter.create_up_down_counter("system.memory.usage", "By")
        self.share = meter.create_gauge("ml.share", "1")
        self.duration = meter.create_histogram("ml.duration", "s", explicit_bucket_boundaries_advisory=[1, 2])

    def end(self):
        """End as a process does."""
        self.provider.shutdown()


def values(process, accept=""):
    """Scrape; return series and their values."""
    lines = process.reader.render(accept)[0].decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[:1] not in ("#", "")}


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """Have two processes that write when they are told to, and their folder."""
    monkeypatch.setattr(prometheus, "WRITE_SECONDS", 3600)
    made = [Process(tmp_path / "shared"), Process(tmp_path / "shared")]
    yield *made, tmp_path / "shared"
    for each in made:
        each.end()


def test_the_sum(pair):
    """Counters, up-down counters and histograms are added; of the machine and of gauges the newest is told."""
    one, two, _ = pair
    for process, n in ((one, 3), (two, 4)):
        process.requests.add(n, {"model": "a"})
        process.active.add(n)
        process.memory.add(n * 1000)
        process.share.set(n / 10)
        process.duration.record(n - 2)
        process.reader.force_flush()
        os.utime(next(process.reader._workers._folder.glob(f"{process.reader._workers._name}.json")), (n, n))
    found = values(one)
    assert found['ml_requests_total{model="a"}'] == 7
    assert found["ml_requests_active"] == 7
    assert [found[f'ml_duration_seconds_bucket{{le="{le}"}}'] for le in ("1.0", "2.0", "+Inf")] == [1, 2, 2]
    assert (found["ml_duration_seconds_sum"], found["ml_duration_seconds_count"]) == (3, 2)
    assert values(two) == {**found, "system_memory_usage_bytes": found["system_memory_usage_bytes"]}
    assert found['target_info{service_name="s"}'] == 1


def test_what_the_dead_counted_stays(pair):
    """The end of a process leaves every total as it was, however often it is asked for; its gauges go."""
    one, two, folder = pair
    one.requests.add(3)
    two.requests.add(4)
    two.active.add(4)
    two.duration.record(0.5)
    assert values(one) == {'target_info{service_name="s"}': 1, "ml_requests_total": 3}
    two.end()
    for _ in range(3):
        found = values(one)
        assert found["ml_requests_total"] == 7
        assert found["ml_duration_seconds_count"] == 1
        assert "ml_requests_active" not in found
    assert len(list(folder.glob("*.lock"))) == 1
    one.end()
    three = Process(folder)
    three.requests.add(1)
    assert values(three)["ml_requests_total"] == 8
    three.end()


def test_an_archive_is_never_added_twice(pair):
    """A process that died between writing the archive and removing what is in it changes no total."""
    one, two, folder = pair
    two.requests.add(4)
    two.reader.force_flush()
    name = two.reader._workers._name
    kept = (folder / f"{name}.json").read_text()
    two.end()
    assert values(one)["ml_requests_total"] == 4
    (folder / f"{name}.json").write_text(kept)
    (folder / f"{name}.lock").write_text("")
    assert values(one)["ml_requests_total"] == 4
    assert not (folder / f"{name}.json").exists()


def test_files_that_cannot_be_read(pair):
    """What is not a snapshot counts for nothing and breaks no scrape."""
    one, _, folder = pair
    one.requests.add(2)
    for name, text in (("9-x.json", "{"), ("9-x.lock", ""), ("8-y.lock", ""), ("7-z.json", "[]"), ("7-z.lock", "")):
        (folder / name).write_text(text)
    assert values(one)["ml_requests_total"] == 2
    (folder / "archive.json").write_text("nothing")
    assert values(one)["ml_requests_total"] == 2


def test_other_bounds_are_not_added():
    """Histograms of other bounds cannot be added: the newest stands alone."""
    old, new = ({"bounds": [b], "counts": [1, 0], "sum": 1.0} for b in (1, 2))
    rows = [{"h": {"kind": "histogram", "unit": "", "help": "", "points": {"{}": each}}} for each in (old, new)]
    assert merged([], rows)["h"]["points"]["{}"] == new
    other = {"h": {"kind": "counter", "unit": "", "help": "", "points": {"{}": 5}}}
    assert merged([], [*rows, other])["h"]["points"] == {"{}": 5}


def test_a_counter_of_the_machine_never_falls():
    """Of a counter that all processes read off the machine the highest stands, whoever has written last."""
    row = {"kind": "counter", "unit": "s", "help": ""}
    rows = [{"system.cpu.time": {**row, "points": {"{}": value}}} for value in (7, 5)]
    assert merged([], rows)["system.cpu.time"]["points"] == {"{}": 7}
    assert merged(rows, []) == {}


def test_who_is_killed_has_written(tmp_path):
    """A process that is killed loses what is younger than its last write, and gives up its lock."""
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from test_prometheus_workers import Process\n"
        "p = Process(sys.argv[1]); p.requests.add(6); p.reader.force_flush(); print('ready', flush=True); input()"
    )
    here = os.path.dirname(__file__)  # noqa: PTH120 - a path for the command line
    command = [sys.executable, "-c", code, str(tmp_path), here]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        mine = Process(tmp_path)
        assert values(mine)["ml_requests_total"] == 6
        child.send_signal(signal.SIGKILL)
    assert values(mine)["ml_requests_total"] == 6
    assert len(list(tmp_path.glob("*.lock"))) == 1
    mine.end()


def test_scrapes_at_once(tmp_path, monkeypatch):
    """A process whose threads answer at the same time has one file, and is counted once, also after it has ended."""
    monkeypatch.setattr(prometheus, "WRITE_SECONDS", 3600)
    for number in range(40):
        folder, start = tmp_path / str(number), threading.Barrier(4)
        one = Process(folder)
        one.requests.add(7)

        def scrape(one=one, start=start):
            start.wait()
            return values(one)["ml_requests_total"]

        with ThreadPoolExecutor(4) as pool:
            assert [each.result() for each in [pool.submit(scrape) for _ in range(4)]] == [7] * 4
        assert len(list(folder.glob("*.lock"))) == 1
        one.end()
        assert values(one)["ml_requests_total"] == 7
        assert list(folder.glob("*.lock")) == []


def test_files_are_private(pair):
    """Only the user who runs the service reads the folder."""
    one, _, folder = pair
    one.requests.add(1)
    values(one)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert all(json.loads(path.read_text()) for path in folder.glob("*.json"))


def test_a_folder_that_cannot_be_used(tmp_path):
    """A path that is a file is a wrong setting."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="OTELML_PROMETHEUS_DIR"):
        Workers(str(tmp_path / "file"))
