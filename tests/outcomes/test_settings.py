"""What OTELML_OUTCOMES_DATABASE takes, and that its password is shown nowhere."""

import pytest

from otelml import _parse, config
from otelml.errors import ConfigError


@pytest.mark.parametrize(
    "given",
    ["postgresql://me:s3cret@db:5432/x", "postgresql+psycopg2://db/x", "postgres://db/x?sslmode=require"],
)
def test_urls(given):
    """A PostgreSQL URL is taken as it is."""
    assert config.load({"outcomes_database": given}, {}).outcomes_database == given


@pytest.mark.parametrize("given", ["o.db", "sqlite:///{}/o.db", "{}/o.db"])
def test_files(given, tmp_path, monkeypatch):
    """A file is named by its path, or as SQLAlchemy does; a relative path is made absolute at the start."""
    monkeypatch.chdir(tmp_path)
    wanted = str(tmp_path / "o.db")
    assert config.load({"outcomes_database": given.format(str(tmp_path))}, {}).outcomes_database == wanted


@pytest.mark.parametrize(
    "given", ["mysql://db/x", "postgresql://db", "sqlite://", "sqlite:///", "http://me:s3cret@x/y"]
)
def test_others(given):
    """What names no database is a fault that says what would, without the value: it may hold a password."""
    with pytest.raises(ConfigError, match="OTELML_OUTCOMES_DATABASE: must be a file, sqlite:///file or") as caught:
        config.load({}, {"OTELML_OUTCOMES_DATABASE": given})
    assert "s3cret" not in str(caught.value)


def test_password_is_masked():
    """`otelml config` shows the URL without its password."""
    rows = config.rows(config.load({"outcomes_database": "postgresql://me:s3cr:et@db/x"}, {}))
    assert [row.value for row in rows if row.name == "outcomes_database"] == ["postgresql://me:***@db/x"]
    assert _parse.without_password("/var/lib/o.db") == "/var/lib/o.db"
