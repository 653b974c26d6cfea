"""Where the stack keeps things."""

import pytest

from otelml.stack import places
from otelml.stack.errors import StackError


def test_directories_follow_the_xdg_variables(monkeypatch, tmp_path):
    """Cache and state are where the user's variables say, else in the home directory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    assert places.cache() == tmp_path / "c/otelml/bin"
    assert places.default_state() == tmp_path / "s/otelml/stack"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert places.cache() == tmp_path / ".cache/otelml/bin"
    assert places.default_state() == tmp_path / ".local/state/otelml/stack"


def test_the_files_are_found():
    """The collector's configuration is beside the package, or in it."""
    assert (places.files() / "collector" / "otelcol.yaml").is_file()


def test_the_state_is_for_its_owner(tmp_path):
    """Every directory is made, none can be entered by others; made again it is left as it is."""
    state = places.State(tmp_path / "a" / "b")
    state.make()
    (state.data / "kept").touch()
    state.make()
    assert {path.stat().st_mode & 0o077 for path in [state.root, *state.root.iterdir()]} == {0}
    assert sorted(path.name for path in state.root.iterdir()) == ["config", "data", "logs", "notify", "run", "secrets"]
    assert (state.data / "kept").exists()


def test_a_state_that_cannot_be_written_is_said(tmp_path):
    """A file stands where the directory should be: the message names it and the option."""
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="--state DIR"):
        places.State(tmp_path / "file" / "state").make()
