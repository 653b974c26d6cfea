"""The benchmarks run, and their own proofs hold: all arrived, nothing unwanted was imported. No time is judged."""

import argparse
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def prediction():
    """The benchmark's module, loaded under a name of its own."""
    spec = importlib.util.spec_from_file_location("benchmark_prediction", BENCHMARKS / "prediction.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(program, *arguments):
    """Run a benchmark; its standard output."""
    command = [sys.executable, str(BENCHMARKS / program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prediction_quick(prediction, tmp_path):
    """Every contender runs, and what each one made arrived at the receiver exactly once."""
    said = run("prediction.py", "--quick", "--json", tmp_path / "figures.json")
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert "Every span, log record and point arrived" in said
    assert figures["lost"] == []
    assert [r["contender"] for r in figures["rows"]] == [c.title for c in prediction.contenders().values()][1:]
    otelml = figures["rounds"]["otelml"][0]["received"]
    assert (otelml["spans"], otelml["logs"], otelml["correlated"]) == (5 * 300, 300, 300)
    assert otelml["points"]["ml.stage.duration"] == 4 * 300
    assert figures["rounds"]["otelml-unsampled"][0]["received"]["spans"] == 0


def test_startup_quick(tmp_path):
    """Both ways start; otelml imports no framework, NVML or unconfigured exporter and adds no warning filter."""
    said = run("startup.py", "--quick", "--json", tmp_path / "figures.json")
    assert "It imports no framework" in said
    runs = json.loads((tmp_path / "figures.json").read_text())["runs"]
    assert all(len(of) == 1 and of[0]["modules"] > 100 for of in runs.values())


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


def test_a_queue_that_overflows_is_noticed(prediction):
    """Spans that the SDK really drops, from a queue of ten, are missed."""
    small = {"OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10"}
    options = argparse.Namespace(predictions=200, warm_up=5, burst=200, rate=1000.0)
    with prediction.receiver() as base:
        found = prediction.measure(prediction.Contender("sdk", "sdk", "sdk", small), base, "overflow", options)
    assert found[0].startswith("sdk: spans: ")
    assert found[0].endswith(" arrived, 1025 expected")
