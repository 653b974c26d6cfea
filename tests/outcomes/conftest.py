"""Databases to test on: an SQLite file, and a real PostgreSQL server of this test run's own."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from otelml.outcomes.database import connect

HOW = "PostgreSQL is not installed: apt-get install postgresql (the server starts by itself, in a temporary directory)"
IN_CI = os.environ.get("CI") == "true"


def binaries():
    """Return the directory of PostgreSQL's programs, or None."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").is_file() and (place / "pg_ctl").is_file()), None)


class Server:
    """A PostgreSQL server on a free loopback port; run by an ordinary user, as it refuses to run as root."""

    def __init__(self, programs):
        self.programs = programs
        # Not below pytest's directories, which are closed to other users.
        self.data = Path(tempfile.mkdtemp(prefix="otelml-postgresql-"))
        self.user = []
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.user = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
            os.chown(self.data, nobody.pw_uid, nobody.pw_gid)
        self.run("initdb", "-D", self.data, "-U", "otelml", "-A", "trust", "--no-sync")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()

    def run(self, program, *arguments):
        """Run one of PostgreSQL's programs."""
        command = [*self.user, self.programs / program, *arguments]
        subprocess.run(list(map(str, command)), check=True, cwd=self.data, stdout=subprocess.DEVNULL)

    def start(self):
        """Start the server and wait until it answers."""
        # Without fsync it is the machine, which does not crash here, that could lose something: on a busy disk a start
        # after a crash, which syncs every file, takes minutes.
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self.run("pg_ctl", "-D", self.data, "-l", self.data / "log", "-o", options, "-w", "-t", "300", "start")

    def stop(self):
        """Stop the server at once, as a crash would."""
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "stop")

    def url(self, name):
        """Return the URL of a new, empty database."""
        address = f"postgresql://otelml@127.0.0.1:{self.port}"
        self.run("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", "otelml", name)
        return f"{address}/{name}"


@pytest.fixture(scope="session")
def server():
    """Run PostgreSQL while the tests need it."""
    programs = binaries()
    if programs is None:
        if IN_CI:
            pytest.fail(HOW)
        pytest.skip(HOW)
    pytest.importorskip("sqlalchemy", reason="needs pip install 'otelml[postgresql]'")
    made = Server(programs)
    yield made
    made.stop()
    shutil.rmtree(made.data, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request, tmp_path):
    """Give what OTELML_OUTCOMES_DATABASE says, for either kind of database."""
    if request.param == "sqlite":
        return str(tmp_path / "outcomes.db")
    return request.getfixturevalue("server").url(f"t{tmp_path.name[-30:].lower().replace('-', '_')}_{os.getpid()}")


@pytest.fixture
def database(address):
    """Give a connection to an empty database."""
    made = connect(address)
    yield made
    made.close()


@pytest.fixture
def settings(address, tmp_path):
    """Give the settings that switch outcomes on."""
    return {"outcomes_database": address, "outcomes_spool": str(tmp_path / "spool")}
