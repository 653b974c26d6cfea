"""Writes the bill of materials of an installed otelml: ``scripts/sbom``, to ``dist/otelml.cdx.json`` (CycloneDX 1.6).

``cyclonedx-py`` reads the packages of an environment: by default one that is made for this, with otelml, all its extras
and the versions of the lock file, and nothing that only developers need. The result is validated against the schema.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from _supply.lock import LOCK, ROOT
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

VERSION = SchemaVersion.V1_6


def main(arguments: list[str]) -> int:
    """Write and validate; return the exit code (1: it does not keep to the schema)."""
    parser = argparse.ArgumentParser(prog="scripts/sbom", description=__doc__.replace("``", ""))
    parser.add_argument("--python", type=Path, help="describe this interpreter's environment instead of a new one")
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "otelml.cdx.json")
    options = parser.parse_args(arguments)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        python = options.python or _environment(Path(folder))
        _written(python, options.output)
    text = options.output.read_text("utf-8")
    error = JsonStrictValidator(VERSION).validate_str(text)
    if error is not None:
        print(f"{options.output} does not keep to the schema: {error}", file=sys.stderr)
        return 1
    packages = len(json.loads(text)["components"])
    print(f"{options.output}: {packages} packages, CycloneDX {VERSION.to_version()}, valid")
    return 0


def _environment(folder: Path) -> Path:
    """Make an environment of what users install; return its interpreter."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    uv = str(Path(sys.executable).parent / "uv")
    python = folder / "bin" / "python"
    wanted = f"{ROOT}[{','.join(extras)}]"
    commands = [
        [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", str(python), "--constraint", str(LOCK), wanted],
    ]
    for command in commands:
        subprocess.run(command, check=True)  # noqa: S603 - ours
    return python


def _written(python: Path, output: Path) -> None:
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", str(ROOT / "pyproject.toml")]
    command += [
        "--mc-type",
        "library",
        "--spec-version",
        VERSION.to_version(),
        "--output-reproducible",
        "--no-validate",
    ]
    command += ["--no-validate", "--output-format", "JSON", "--output-file", str(output), str(python)]
    subprocess.run(command, check=True)  # noqa: S603 - ours


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
