"""The built page is that of its sources, byte for byte, and asks nobody else for anything."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WEB = ROOT / "otelml" / "viewer" / "web"
BUILT = {"index.html", "app.js", "app.css"}


def test_built_again_it_is_the_same(modules, tmp_path):
    """Sources that are newer than what is built, or a build that differs from place to place, fail here."""
    assert modules.exists()
    subprocess.run(["nice", ROOT / "scripts" / "build-viewer", tmp_path], check=True)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in (WEB / "dist").iterdir()} == BUILT
    for name in sorted(BUILT):
        assert (tmp_path / name).read_bytes() == (WEB / "dist" / name).read_bytes(), f"run scripts/build-viewer: {name}"


def test_nothing_is_written_into_the_page_as_markup():
    """No source hands text to the browser as markup or code; the page has no script or style of its own."""
    sources = [path.read_text() for path in (WEB / "src").rglob("*.ts*")]
    assert len(sources) > 20
    for source in sources:
        assert not re.search(
            r"dangerouslySetInnerHTML|innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|new Function", source
        )
    index = (WEB / "dist" / "index.html").read_text()
    assert not re.search(r"<script(?! src=\"/assets/app\.js\" defer>)|<style|style=|https?://(?!www\.w3\.org)", index)


def test_the_lock_names_no_registry():
    """Packages come from whatever registry npm is set up with."""
    assert not re.search(r"resolved|https?://registry", (WEB / "package-lock.json").read_text())


def test_licences_of_what_is_bundled_go_along():
    """The built program begins with the licences of the libraries in it, which ask for that."""
    packages = json.loads((WEB / "package.json").read_text())["dependencies"]
    head = (WEB / "dist" / "app.js").read_text().split("*/")[0]
    assert [name for name in packages if f"{name}\n" not in head] == []
    assert head.count("Permission is hereby granted") == len(packages) > 0


def test_users_need_python_alone(tmp_path):
    """The wheel has the built page, and neither its sources nor its packages."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None and os.environ.get("CI") != "true":
        pytest.skip("uv is missing: pip install uv")
    known = {"UV_NATIVE_TLS": "true", "UV_SYSTEM_CERTS": "true", **os.environ}
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", tmp_path, ROOT], env=known, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    inside = {name.removeprefix("otelml/viewer/web/") for name in names if name.startswith("otelml/viewer/web/")}
    assert inside == {f"dist/{name}" for name in BUILT}
    assert {"otelml/stack/files/docker-compose.yml", "otelml/stack/files/collector/otelcol.yaml"} <= set(names)
