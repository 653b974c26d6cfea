"""The name of a process: the user's own where it is alone, the beginning of it in a server's worker."""

import subprocess
import sys

import pytest

from otelml import instance

GIVEN = {"service.instance.id": "web-1", "service.version": "2"}


def test_a_program_has_the_name_it_was_given(monkeypatch):
    """Outside a server the attributes are as they were given, and a copy."""
    monkeypatch.delenv("SERVER_SOFTWARE", raising=False)
    assert instance.attributes(GIVEN) == GIVEN
    assert instance.attributes({}) == {}


def test_under_gunicorn_each_process_adds_to_it(monkeypatch):
    """Gunicorn says in the environment of its workers who started them; without a name there is nothing to add to."""
    monkeypatch.setenv("SERVER_SOFTWARE", "gunicorn/27.0.1")
    names = {instance.attributes(GIVEN)["service.instance.id"] for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith("web-1-") for name in names)
    assert GIVEN["service.instance.id"] == "web-1"
    assert instance.attributes({}) == {}


@pytest.mark.parametrize("inside", [False, True], ids=["parent", "child"])
def test_a_child_of_celery_adds_to_it(inside):
    """A process of Celery's multiprocessing is one of several; the one that starts it is not."""
    call = "print(instance.attributes({'service.instance.id': 'web-1'})['service.instance.id'], flush=True)"
    child = f"p = billiard.Process(target=lambda: {call}); p.start(); p.join()" if inside else call
    code = f"import billiard\nfrom otelml import instance\n{child}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout.strip() == "web-1") != inside
    assert done.stdout.startswith("web-1")
