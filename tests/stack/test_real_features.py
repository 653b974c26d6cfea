"""Drift of a fleet, by the shipped rules in a real Prometheus: what one process would say, to 1e-9."""

import contextlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from running_stack import eventually
from shortened import BEATS, hurry

from otelml import drift
from otelml.drift import statistics
from otelml.stack import secret_files, web

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
WORKER = Path(__file__).with_name("features_worker.py")
NAMES = ["age", "fare", "constant"]
ROWS, LATER = 2000, 500
RNG = np.random.default_rng(11)
TRAINING = np.column_stack([RNG.normal(size=3000), RNG.lognormal(size=3000), np.ones(3000)])
TODAY = np.column_stack([RNG.normal(0.4, 1.2, ROWS + LATER), RNG.lognormal(size=ROWS + LATER), np.ones(ROWS + LATER)])
TODAY[RNG.random(TODAY.shape) < 0.05] = np.nan


class Fleet:
    """Processes of services that predict rows of one file."""

    def __init__(self, stack, root, undo):
        self.stack, self.root, self.undo = stack, root, undo
        drift.Reference.fit(TRAINING, NAMES).save(root / "r.json")
        np.save(root / "rows.npy", TODAY)

    def start(self, service, first, last):
        """Start a worker; return it once its rows are sent."""
        token = secret_files.token(self.stack.state)
        environment = {
            "OTEL_SERVICE_NAME": service,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.stack.url("otlp-http"),
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {token}",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
            "PYTHONPATH": str(Path(drift.__file__).parents[2]),
        }
        command = [sys.executable, str(WORKER), str(self.root / "r.json"), str(self.root / "rows.npy")]
        worker = subprocess.Popen(
            [*command, str(first), str(last)],
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.undo.callback(self.end, worker)
        assert worker.stdout.readline() == "flushed\n"
        return worker

    @staticmethod
    def end(worker):
        """Let a worker end in order, if it has not."""
        if worker.poll() is None:
            worker.communicate(timeout=30)

    def says(self, record, service):
        """Return {feature: value} of a recorded series."""
        query = {"query": f'feature:ml_feature_observations:{record}{{service_name="{service}"}}'}
        said = web.json_of(self.stack.url("prometheus", "/api/v1/query"), query)
        rows = said["data"]["result"] if said else []
        found = {row["metric"]["ml_feature_name"]: float(row["value"][1]) for row in rows}
        assert len(found) == len(rows)
        return found

    def counted(self, service, rows):
        """Wait until so many rows of each feature are counted; say whether they are."""
        wanted = dict.fromkeys(NAMES, float(rows))
        return eventually(lambda: self.says("increase1h", service) == wanted) or self.says("increase1h", service)


@pytest.fixture(scope="module")
def fleet(stack, tmp_path_factory):
    """Workers to start, beside a stack whose rules are evaluated every second; none is left."""
    hurry(stack, 120, BEATS)
    with contextlib.ExitStack() as undo:
        yield Fleet(stack, tmp_path_factory.mktemp("fleet"), undo)


def expected(rows):
    """Return what our own statistics say of these rows: {record: {feature: value}}."""
    reference = drift.Reference.fit(TRAINING, NAMES)
    found = {"psi1h": {}, "js1h": {}, "ks1h": {}, "psi_bias1h": {}}
    for name, now in reference.count(rows).counts.items():
        before = np.array(reference.by_name[name].counts)
        found["psi1h"][name] = statistics.psi(before, now)
        found["psi_bias1h"][name] = statistics.psi_bias(before, now)
        found["js1h"][name] = statistics.js_distance(before, now)
        found["ks1h"][name] = statistics.ks(before[:-1], now[:-1])
    return found


def agrees(fleet, service, rows):
    """Wait until the recorded distances of a service are those of these rows to 1e-9; return the last ones."""
    wanted = expected(rows)

    def close():
        said = {record: fleet.says(record, service) for record in wanted}
        same = all(said[record] == pytest.approx(wanted[record], rel=0, abs=1e-9) for record in wanted)
        return (True, said) if same else None

    found = eventually(close, 30)
    assert found, ({record: fleet.says(record, service) for record in wanted}, wanted)
    return found[1]


def test_a_fleet_says_what_one_process_says(fleet):
    """Four workers with a quarter of the rows each; one of them is replaced, and the counts of both its lives stay."""
    quarter = ROWS // 4
    workers = [fleet.start("fleet", i * quarter, (i + 1) * quarter) for i in range(4)]
    fleet.start("single", 0, ROWS)
    assert fleet.counted("single", ROWS) is True
    assert fleet.counted("fleet", ROWS) is True
    single, several = agrees(fleet, "single", TODAY[:ROWS]), agrees(fleet, "fleet", TODAY[:ROWS])
    for record, values in single.items():
        assert several[record] == pytest.approx(values, rel=0, abs=1e-9)
    fleet.end(workers[0])
    fleet.start("fleet", ROWS, ROWS + LATER)
    assert fleet.counted("fleet", ROWS + LATER) is True
    agrees(fleet, "fleet", TODAY)
