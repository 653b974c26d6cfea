"""The benchmarks run, and their own proofs hold: all arrived, nothing unwanted was imported. No time is judged."""

import argparse
import importlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def load():
    """Import a module of the benchmarks by its name, as their programs do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module


@pytest.fixture(scope="module")
def prediction(load):
    """The benchmark of one prediction."""
    return load("prediction")


def run(program, *arguments):
    """Run a benchmark; its standard output."""
    command = [sys.executable, str(BENCHMARKS / program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prediction_quick(prediction, tmp_path):
    """Every contender that can run does, and what each one made arrived at the receiver exactly once."""
    out = {*prediction.accelerator.left_out([*prediction.contenders()])}
    said = run("prediction.py", "--quick", "--json", tmp_path / "figures.json")
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert "Every span, log record and point arrived" in said
    assert len(figures["goals"]) == len([goal for goal in prediction.GOALS if not {goal.of, goal.peer} & out])
    assert figures["lost"] == []
    ran = [each.title for name, each in prediction.contenders().items() if name not in out]
    assert [r["contender"] for r in figures["rows"]] == ran[1:]
    otelml = figures["rounds"]["otelml"][0]["received"]
    assert (otelml["spans"], otelml["logs"], otelml["correlated"]) == (5 * 300, 300, 300)
    assert otelml["points"]["ml.stage.duration"] == 4 * 300
    assert figures["rounds"]["otelml-unsampled"][0]["received"]["spans"] == 0
    threads = figures["rounds"]["otelml-threads"][0]
    assert threads["made"] == threads["received"]["points"]["ml.requests"] == 8 * (100 // 8) + 200


def test_profiles_quick():
    """Requests and code run with and without a profile, and one is taken where it is asked for."""
    said = run("profiles.py", "--quick")
    assert "a token set, a wrong one sent" in said
    assert "predictions of a forest, profiled" in said


def test_one_row_quick():
    """Calls of two libraries are observed and not, in turn, and each of those observed arrives once."""
    said = run("one_row.py", "--seconds", "0.2", "LogisticRegression.predict_proba", "InferenceSession.run")
    assert "Every prediction arrived once." in said
    assert re.search(r"InferenceSession.run +\d+\.\d +-?\d+\.\d +\d+\.\d\d", said)


def test_model_loads_quick():
    """Each of the three files is loaded with and without otelml, and joblib is put back."""
    lines = run("model_loads.py", "--quick").splitlines()
    assert [line.split("  ")[0] for line in lines[-3:]] == [
        "a small pipeline",
        "a forest of 100 trees",
        "a dict, no model",
    ]


def test_startup_quick(tmp_path):
    """Both ways start; otelml imports no framework, NVML or unconfigured exporter and adds no warning filter."""
    said = run("startup.py", "--quick", "--json", tmp_path / "figures.json")
    assert "It imports no framework" in said
    runs = json.loads((tmp_path / "figures.json").read_text())["runs"]
    assert all(len(of) == 1 and of[0]["modules"] > 100 for of in runs.values())


def test_spool_quick():
    """With and without a spool everything arrives; so does what was made while the endpoint was down, exactly once."""
    said = run("spool.py", "--quick")
    assert "otelml, with a spool" in said
    assert "An hour at 1,000/s" in said


def test_export_quick(tmp_path):
    """Both exporters send over both protocols, with and without compression, and every span arrives."""
    said = run("export.py", "--quick", "--json", tmp_path / "figures.json")
    assert "Every span arrived" in said
    rows = json.loads((tmp_path / "figures.json").read_text())["rows"]
    assert [(row["protocol"], row["compression"]) for row in rows] == [
        *(("http/protobuf", "none"), ("http/protobuf", "gzip")),
        *(("grpc", "none"), ("grpc", "gzip")),
    ]
    assert all(row["official"] > 0 < row["otelml"] for row in rows)


def test_memory_quick(tmp_path):
    """Through an outage, what was made is what arrived and what was counted as dropped; metrics lose nothing."""
    said = run("memory.py", "--quick", "--json", tmp_path / "figures.json")
    figures = json.loads((tmp_path / "figures.json").read_text())
    received = figures["received"]
    lost = {kind: sum(n for what, _, n in received["dropped"] if what == kind) for kind in ("span", "log")}
    assert figures["faults"] == []
    assert received["points"]["ml.requests"] == received["points"]["ml.prediction.duration"] == 6000
    assert received["spans"] + lost["span"] == 5 * 6000
    assert received["logs"] + lost["log"] == 6000
    assert lost["span"] > 0
    assert lost["log"] > 0
    assert "Too short to judge memory" in said


def test_profiling_quick(tmp_path):
    """The caller's and the worker's functions are told apart, and what was sampled arrived."""
    said = run("profiling.py", "--quick", "--folded", tmp_path / "stacks.txt")
    stacks = (tmp_path / "stacks.txt").read_text()
    assert "Every span, log record and point arrived." in said
    assert re.search(r"^the caller: predicting;.*otelml\.prediction\.", stacks, re.MULTILINE)
    assert re.search(r"^the worker: .*otelml\.recorder\.", stacks, re.MULTILINE)


def result(**received):
    """A round of ten predictions of one span, one record and one request each."""
    whole = {"spans": 10, "logs": 10, "correlated": 10, "duplicates": 0, "points": {"ml.requests": 10.0}}
    expected = {"spans": 1, "logs": 1, "ml.requests": 1}
    return {"made": 10, "expected": expected, "arrived": None, "received": {**whole, **received}}


@pytest.mark.parametrize(
    ("received", "said"),
    [
        ({}, []),
        ({"spans": 9}, ["x: spans: 9 arrived, 10 expected"]),
        ({"logs": 11}, ["x: logs: 11 arrived, 10 expected", "x: records without their span: 1"]),
        ({"points": {}}, ["x: ml.requests: 0 arrived, 10 expected"]),
        ({"duplicates": 2}, ["x: span ids twice: 2"]),
        ({"correlated": 7}, ["x: records without their span: 3"]),
        ({"points": {"ml.requests": 10.0, "otelml.dropped": 4.0}}, ["x: dropped: 4"]),
    ],
)
def test_faults(prediction, received, said):
    """A round in which anything is lost, doubled, unrelated or dropped is told apart from a whole one."""
    assert prediction.faults(prediction.Contender("x", "x", "x"), result(**received)) == said


def test_a_queue_that_overflows_is_noticed(prediction, load):
    """Spans that the SDK really drops, from a queue of ten, are missed."""
    small = {"OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10"}
    options = argparse.Namespace(predictions=200, warm_up=5, burst=200, rate=1000.0)
    with load("receiver").started() as endpoint:
        found = prediction.measure(prediction.Contender("sdk", "sdk", "sdk", small), endpoint, "overflow", options)
    assert found[0].startswith("sdk: spans: ")
    assert found[0].endswith(" arrived, 1025 expected")


def contender(prediction, *callers):
    """A contender with one round for each figure of the caller's thread."""
    rounds = [{"caller": [caller], "mean": caller + 10, "process": 1.0} for caller in callers]
    return prediction.Contender("x", "x", "x", rounds=rounds)


@pytest.mark.parametrize(
    ("peer", "limit", "expected", "met"),
    [("sdk", 1 / 5, (0.2, 0.1, 0.3), "yes"), ("sdk", 1 / 6, (0.2, 0.1, 0.3), "no"), ("", 40, (40, 20, 60), "yes")],
)
def test_goals_are_judged(load, peer, limit, expected, met):
    """A ratio or a time is taken less the idle loop's, over all rounds and for each; at the limit it is met."""
    prediction, goals = load("prediction"), load("goals")
    goal = goals.Goal("what", "against", "caller", "otelml", peer, limit)
    of = {"nothing": (10, 10, 10), "sdk": (210, 210, 210), "otelml": (30, 50, 70)}
    verdict = prediction.verdict(goal, {name: contender(prediction, *rounds) for name, rounds in of.items()})
    assert (verdict.measured, verdict.lowest, verdict.highest) == pytest.approx(expected)
    assert verdict.cells()[-1] == met
    assert verdict.by_means == pytest.approx(verdict.measured)  # each mean, the idle one too, is 10 above its median


def test_a_goal_without_its_peer_is_not_judged(prediction):
    """A run with --only says nothing about goals whose contenders it left out."""
    of = {"nothing": contender(prediction, 1), "otelml": contender(prediction, 2)}
    assert prediction.verdicts(of) == []


def test_goals_name_contenders_that_exist(prediction):
    """Every goal is measured by `prediction.py`, and its command names contenders of it."""
    known = set(prediction.contenders())
    assert {goal.of for goal in prediction.GOALS} | {goal.peer for goal in prediction.GOALS if goal.peer} <= known


def test_an_endpoint_goes_down_and_comes_back(load):
    """Down it refuses connections, those that were open too; back on the same port it knows what it had counted."""
    with load("receiver").started() as endpoint, requests.Session() as session:
        where = f"{endpoint.url}/run/v1/traces"
        assert session.post(where, data=one_span(1), timeout=5).status_code == 200
        endpoint.down()
        for send in (session.post, requests.post):
            with pytest.raises(requests.ConnectionError):
                send(where, data=one_span(2), timeout=5)
        endpoint.up()
        assert session.post(where, data=one_span(3), timeout=5).status_code == 200
        assert endpoint.tally("run")["spans"] == 2


def one_span(number):
    """An export of one span."""
    span = Span(name="predict", span_id=bytes((number,)) * 8)
    body = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[span])])])
    return body.SerializeToString()


# Memory: the arithmetic -------------------------------------------------------------------------------------------


def test_growth_is_measured(load):
    """A leak of 48 bytes a prediction is found within noise of pages; none is found where there is none."""
    noise = random.Random(1)  # noqa: S311 - not a secret
    for leak in (0, 48):
        points = [(n, 1e8 + leak * n + noise.uniform(-1e5, 1e5)) for n in range(0, 1_000_000, 10_000)]
        slope, half = load("memory").slope(points)
        assert slope - half < leak < slope + half
        assert half < 1


def test_growth_needs_samples(load):
    """Fewer than two samples in each of ten blocks say nothing."""
    assert load("memory").slope([(n, 1.0) for n in range(19)]) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        ({"spans": 44}, ["spans: 44 arrived + 5 dropped, 50 made"]),
        ({"dropped": []}, ["spans: 45 arrived + 0 dropped, 50 made", "logs: 9 arrived + 0 dropped, 10 made"]),
        ({"points": {"ml.requests": 9.0}}, ["ml.requests: 9 counted, 10 made"]),
        ({"duplicates": 1}, ["span ids twice: 1"]),
    ],
)
def test_what_does_not_add_up_is_told(load, change, said):
    """Made is arrived plus dropped for spans and log records, and counted for metrics; whatever differs is named."""
    dropped = [["span", "queue", 3.0], ["span", "export", 2.0], ["log", "queue", 1.0], ["metric", "export", 7.0]]
    received = {"spans": 45, "logs": 9, "duplicates": 0, "points": {"ml.requests": 10.0}, "dropped": dropped}
    expected = {"spans": 5, "logs": 1, "ml.requests": 1}
    assert load("receiver").unbalanced({**received, **change}, 10, expected) == said


def test_sparkline(load):
    """Values become bars from the lowest to the highest, at most as many as there is room for."""
    assert load("memory").sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert load("memory").sparkline([0, 0, 7, 7], width=2) == "▁█"
    assert load("memory").sparkline([5, 5]) == "▁▁"


@pytest.mark.skipif(shutil.which("wrk") is None and "CI" not in os.environ, reason="apt-get install wrk")
def test_serving_quick(tmp_path):
    """A served application is loaded, observed by otelml and by upstream, and all telemetry arrives once."""
    run("serving.py", "--quick", "--only", "otelml,upstream", "--json", tmp_path / "figures.json")
    assert (tmp_path / "figures.json").exists()


def test_serving_cpu_quick(tmp_path):
    """Servers are loaded by a client of our own, in short turns, and all telemetry arrives once."""
    run("serving_cpu.py", "--quick", "--only", "otelml", "--json", tmp_path / "figures.json")
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert [row["way"] for row in figures["rows"]] == ["not observed", "otelml"]
    assert figures["rows"][0]["ratio"] == [1, 1, 1]
    assert [len(rounds) for rounds in figures["rounds"].values()] == [2, 2]
    assert figures["lost"] == []


def test_sklearn_rows_quick(tmp_path):
    """One-row calls are measured alone and observed, and what was observed arrives exactly once."""
    said = run("sklearn_rows.py", "--quick", "--only", "otelml,sdk", "--json", tmp_path / "figures.json")
    assert "Every span, log record and point arrived" in said


def test_features_quick():
    """Every shape of inputs is observed, and each row counted once for each feature."""
    said = run("features.py", "--quick")
    assert "Every row was counted once for each feature." in said
    assert "30 histograms of prometheus_client" in said


@pytest.mark.parametrize(("options", "loses"), [((), False), (("--buffer", 1), True)])
def test_outcomes_quick(tmp_path, options, loses):
    """All truths are joined; with room nothing is dropped, without it all that is lost is counted."""
    said = run("outcomes.py", "--quick", "--disk", tmp_path, *options)
    (lost,) = re.findall(r"^([\d,]+) dropped, counted; made = arrived \+ dropped holds$", said, re.MULTILINE)
    assert (int(lost.replace(",", "")) > 0) is loses, said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        ({"spans": 19}, ["spans: 19 arrived + 0 dropped, 20 made"]),
        # The span and event of one prediction, and so the span of its outcome, which has nothing to link to.
        ({"spans": 18, "logs": 19, "dropped": [["span", "buffer", 1], ["log", "buffer", 1]]}, []),
        ({"spans": 17, "logs": 20, "dropped": [["span", "queue", 3]]}, []),
        ({"points": {"ml.outcomes": 9.0}}, ["ml.outcomes: 9 counted, 10 made"]),
        ({"dropped": [["outcome", "refused", 1]]}, ["1 dropped that are neither span nor log"]),
    ],
)
def test_an_outcome_that_nobody_counts_is_told(load, change, said):
    """Of ten predictions and their truths, the benchmark takes only what arrived or is counted as dropped."""
    tally = {"spans": 20, "logs": 20, "points": {"ml.outcomes": 10.0}, "dropped": [], "duplicates": 0}
    assert load("outcomes").unaccounted(tally | change, 10) == said
