"""A process's own report, from inside real processes."""

import json
import subprocess
import sys
from pathlib import Path

import otelml
from otelml import semconv

REPORT = """
import json
from dataclasses import asdict
from otelml.doctor.process import report
{before}
print(json.dumps([asdict(finding) for finding in report()]))
"""
START = """
import otelml
runtime = otelml.auto_instrument("reported", disabled=["*"], config={
    "metrics_exporter": "none", "traces_exporter": "none", "logs_exporter": "none", "gpu": False, "host": False})
"""
LIMIT = semconv.attribute(semconv.PREDICTION_CLASS).limit


def reported(before=""):
    """Return the findings of a process that has run some code."""
    environ = {"PYTHONPATH": str(Path(otelml.__file__).parents[1]), "PATH": ""}
    command = [sys.executable, "-c", REPORT.format(before=before)]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60, check=True)
    return json.loads(done.stdout)


def test_a_bare_process_says_so():
    """A worker without otelml is a fault, with what to do."""
    (found,) = reported()
    assert found["state"] == "fault"
    assert "not instrumented" in found["detail"]


def test_an_instrumented_process():
    """It says that it is, and which way each signal goes; nothing is wrong."""
    found = reported(START)
    assert {row["what"] for row in found} == {"instrumented", "traces", "metrics", "logs"}
    assert found[0]["state"] == "ok"
    assert not [row for row in found if row["state"] == "fault"]


def test_labels_over_their_limit_and_what_was_lost():
    """Classes over the limit, and items that were dropped, are faults."""
    many = f"""
for number in range({LIMIT + 3}):
    with otelml.prediction("m") as p:
        p.result(classes=f"class {{number}}")
runtime.force_flush()
runtime.recorder.drop("span", "queue", 7)
"""
    faults = {row["what"]: row["detail"] for row in reported(START + many) if row["state"] == "fault"}
    assert set(faults) == {"cardinality", "dropped"}
    assert semconv.PREDICTION_CLASS in faults["cardinality"]
    assert "7 times span at queue" in faults["dropped"]


def test_a_forked_child_speaks_for_itself():
    """In a child the report is the child's: instrumented, under its own process id."""
    fork = (
        START
        + """
import os, sys
child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
before = os.getpid()
"""
    )
    found = reported(fork)
    assert found[0]["state"] == "ok"
