"""What comes with otelml: advisories, licences and the bill of materials; each check can fail."""

import importlib
import json
import shutil
import subprocess
import sys
import venv
from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

SCRIPTS = Path(__file__).parent.parent / "scripts"
ADVISORY = """
id: PYSEC-2014-13
affected:
- package: {{name: requests, ecosystem: PyPI}}
  ranges:
  - {{type: ECOSYSTEM, events: [{{introduced: "0"}}, {{fixed: 2.3.0}}, {{introduced: 2.9.0}}, {{fixed: 2.10.0}}]}}
  versions: [2.2.1]
modified: "{day}T00:00:00Z"
"""


@pytest.fixture
def load(monkeypatch):
    """Import a script by its name, as it runs."""
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module


def audited(folder, pin, day):
    """Audit one pin against a database of one advisory; return the exit code."""
    place = folder / "database" / "vulns" / "requests"
    place.mkdir(parents=True, exist_ok=True)
    (place / "PYSEC-2014-13.yaml").write_text(ADVISORY.format(day=day))
    lock = folder / "lock"
    lock.write_text(f"{pin}\n")
    command = [sys.executable, SCRIPTS / "audit.py", "--lock", lock, "--database", folder / "database"]
    return subprocess.run(command, capture_output=True, check=False).returncode


@pytest.mark.parametrize(
    ("pin", "code"),
    [("requests==2.2.1", 1), ("requests==2.9.5 \\", 1), ("requests==2.3.0", 0), ("requests==2.10.0", 0), ("h11==1", 0)],
)
def test_an_advisory_is_found_where_it_holds(tmp_path, pin, code):
    """Versions that are listed or lie in a range are found; those before, between and after are not."""
    assert audited(tmp_path, pin, datetime.now(UTC).date()) == code


def test_an_old_database_proves_nothing(tmp_path):
    """Without a finding, a database that has not been changed for a month ends with its own exit code."""
    assert audited(tmp_path, "requests==2.31.0", "2020-01-01") == 2
    assert audited(tmp_path, "requests==2.2.1", "2020-01-01") == 1


def test_a_package_that_was_not_looked_up_is_not_clean(load):
    """What pip-audit leaves aside, or answers for another version, counts as not audited."""
    pins = {"a": "1", "b": "1", "c": "1", "d": "1"}
    answers = {
        "a": {"name": "a", "version": "1", "vulns": []},
        "b": {"name": "b", "skip_reason": "not found on PyPI"},
        "c": {"name": "c", "version": "2", "vulns": []},
    }
    assert load("audit").judged(pins, answers) == {"a": [], "b": None, "c": None, "d": None}


def test_the_lock_file_pins_everything_users_install(load):
    """Every package that otelml and its extras need here is pinned, so that it is audited and its licence read.

    XGBoost is pinned without a GPU's libraries, as xgboost-cpu. Libraries that the application brings, and that are
    tested in environments of their own, are not pinned.
    """
    lock = load("_supply.lock")
    assert lock.for_users() - lock.pinned().keys() == {"xgboost"}
    assert {"opentelemetry-sdk", "fastapi", "scipy", "psycopg"} <= lock.for_users()
    assert "pytest" not in lock.for_users()


def test_licences_go_with_apache(load):
    """Each pinned package is installed, names its licence, and that one is on a list."""
    found = load("licences").packages()
    assert [each for each in found if not each.fits] == []
    assert len(found) > 100


@pytest.mark.parametrize(
    ("licence", "fits"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("", False),
        ("not installed", False),
    ],
)
def test_a_licence_that_does_not_fit_is_seen(load, licence, fits):
    """A choice fits where one of it does, several at once where all do, none never."""
    assert load("licences").Licensed("a", "1", licence, users=True).fits is fits


@pytest.fixture
def small(tmp_path):
    """An environment that lists five packages; the schema's check of one web address takes 9 ms."""
    venv.create(tmp_path / "environment", with_pip=False)
    (site,) = (tmp_path / "environment").glob("lib/*/site-packages")
    for name in ("opentelemetry-sdk", "opentelemetry-api", "numpy", "psutil", "requests"):
        folder = Path(str(distribution(name).locate_file("."))) / distribution(name)._path.name
        shutil.copytree(folder, site / folder.name)
    return tmp_path / "environment" / "bin" / "python"


def test_the_bill_of_materials_keeps_to_the_schema(small, tmp_path):
    """It names the packages of an environment with version and licence, is about otelml, and is valid CycloneDX."""
    file = tmp_path / "otelml.cdx.json"
    command = [sys.executable, SCRIPTS / "sbom.py", "--python", small, "--output", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "5 packages, CycloneDX 1.6, valid" in done.stdout
    bill = json.loads(file.read_text())
    named = {component["name"].lower(): component for component in bill["components"]}
    assert bill["metadata"]["component"]["name"] == "otelml"
    assert named["opentelemetry-sdk"]["purl"].startswith("pkg:pypi/opentelemetry-sdk@1.")
    assert named["opentelemetry-sdk"]["licenses"]


def test_a_bill_that_does_not_keep_to_the_schema_is_seen():
    """The validator takes what is right and refuses a kind of component that does not exist."""
    bill = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "library", "name": "a"}]}
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(bill)) is None
    bill["components"][0]["type"] = "nonsense"
    assert validator.validate_str(json.dumps(bill)) is not None
