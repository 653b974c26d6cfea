"""Secrets: made once, kept, for the owner only."""

import pytest

from otelml.stack import places, secret_files
from otelml.stack.errors import StackError


def test_secrets_are_made_once(tmp_path):
    """The first time all are made, each different and 0600; the second time they stay, with their modes mended."""
    state = places.State(tmp_path / "state")
    state.make()
    made = secret_files.make(state)
    first = {name: (state.secrets / name).read_text() for name in made}
    assert sorted(made) == ["grafana_admin_password", "ingest_token", "redaction_key"]
    assert len(set(first.values())) == 3
    assert min(map(len, first.values())) >= 20
    state.token_file.chmod(0o644)
    assert secret_files.make(state) == []
    assert {name: (state.secrets / name).read_text() for name in made} == first
    assert {(state.secrets / name).stat().st_mode & 0o777 for name in made} == {0o600}
    assert secret_files.token(state) == first["ingest_token"]


def test_without_a_token_the_message_says_what_to_do(tmp_path):
    """Missing and empty are the same to who wants to send."""
    state = places.State(tmp_path)
    state.make()
    with pytest.raises(StackError, match="otelml stack up"):
        secret_files.token(state)
    state.token_file.touch()
    with pytest.raises(StackError, match="missing or empty"):
        secret_files.token(state)
