"""Libraries' own tests, a sample: with otelml on they end as without, and what would differ is seen."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "own_tests.py"
MODELS = {"keras": "src/models/sequential_test.py", "sklearn": "tests/test_pipeline.py"}
SELECTED = {"keras": "functional or sequential or pickle", "sklearn": "predict or score or fit"}

pytestmark = pytest.mark.timeout(400)


def run(*arguments):
    """Run the script; return what it did."""
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)


def needed(library):
    """Skip where the library is not installed, or without its tests."""
    spec = find_spec(library)
    if spec is None or not Path(spec.origin).parent.joinpath(MODELS[library]).exists():
        pytest.skip(f"{library} is not installed with its tests; scripts/test-integrations keras-newest")


@pytest.mark.parametrize("library", MODELS)
def test_every_outcome_is_the_same_while_predictions_are_measured(library):
    """Tests of pipelines, or of sequential models, end the same on both sides; predictions were counted, faults not."""
    needed(library)
    done = run("--jobs", "1", "--library", library, "--select", SELECTED[library], MODELS[library])
    assert done.returncode == 0, done.stdout + done.stderr
    everything = done.stdout.splitlines()[-1].split()
    tests, passed, *_, differences, predictions, faults = (int(figure.replace(",", "")) for figure in everything[1:])
    assert tests >= passed > {"keras": 5, "sklearn": 25}[library]
    assert predictions > {"keras": 5, "sklearn": 20}[library]
    assert (differences, faults) == (0, 0)


def test_an_instrumentation_that_changes_an_answer_is_seen():
    """With answers doubled on purpose the tests that fail because of it are named, and the exit code is 1."""
    needed("sklearn")
    done = run("--jobs", "1", "--break", "--select", "tolerance", "tests/test_isotonic.py")
    assert done.returncode == 1
    assert "passed without, failed with" in done.stdout


def test_what_is_not_there_is_said():
    """A module that a library does not install ends the run with one line."""
    done = run("--library", "keras" if find_spec("keras") else "sklearn", "tests/none.py")
    assert done.returncode == 1
    assert (
        done.stderr.strip().endswith("tests/none.py: not among what keras installs")
        or "sklearn installs" in done.stderr
    )
