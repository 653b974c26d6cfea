"""Profiles of single requests: a real uvicorn, asked with and without the token, and by rate."""

import asyncio
import json
import random
import threading
import time
from contextlib import contextmanager
from functools import partial
from typing import Annotated

import pytest
import requests
from fastapi import Depends, FastAPI
from local_servers import by_uvicorn

from otelml import config
from otelml.errors import ConfigError
from otelml.integrations.fastapi import OtelmlFastAPIInstrumentor
from otelml.profiling.profiles import Profiles
from otelml.testing import recording

TOKEN = "canary7f3a-0123456789"  # noqa: S105 - of this test alone
get = partial(requests.get, timeout=20)


def spin(seconds):
    """Work in Python for so long."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def dependency():
    """Work before the endpoint does, in a thread."""
    spin(0.02)


def make_app():
    """Return an application whose work is in a thread, and one whose work is in the loop."""
    app = FastAPI()

    @app.get("/thread")
    def in_a_thread(_: Annotated[None, Depends(dependency)]):
        in_the_endpoint()
        return "ok"

    @app.get("/loop")
    async def in_the_loop():
        await asyncio.sleep(0.03)
        in_the_endpoint()
        return "ok"

    @app.get("/boom")
    def boom():
        in_the_endpoint()
        raise ValueError("no")

    return app


def in_the_endpoint():
    """Work."""
    spin(0.05)


@contextmanager
def serving(**settings):
    """Serve an application with otelml; give its address and what it exports."""
    with recording(**settings) as seen:
        instrumentor = OtelmlFastAPIInstrumentor()
        profiles = seen.runtime.profiles if seen.runtime.profiles.asked else None
        providers = {"tracer_provider": seen.tracer_provider, "meter_provider": seen.meter_provider}
        instrumentor.instrument(skip_dep_check=True, profiles=profiles, **providers)
        try:
            with by_uvicorn(make_app()) as url:
                yield url, seen
        finally:
            instrumentor.uninstrument()


def events(seen, number=1):
    """Return the events of profiles, as soon as there are so many."""
    until = time.monotonic() + 10
    while True:
        found = [log for log in seen.logs() if log.event == "otelml.profile"]
        if len(found) >= number or time.monotonic() > until:
            return found
        time.sleep(0.02)


def served_spans(seen, number=1):
    """Return the spans of profiled requests, as soon as there are so many: a span ends after its profile."""
    until = time.monotonic() + 10
    while True:
        found = [span for span in seen.spans() if "otelml.profile.id" in span.attributes and span.kind == "SERVER"]
        if len(found) >= number or time.monotonic() > until:
            return found
        time.sleep(0.02)


@pytest.mark.parametrize("path", ["/thread", "/loop"])
def test_a_request_with_the_token_is_profiled(path, tmp_path):
    """Its work is in the profile, in a thread or in the loop; event, span and file are one. The token is nowhere."""
    with serving(profile_token=TOKEN, profile_directory=str(tmp_path)) as (url, seen):
        assert get(url + path, headers={"X-Otelml-Profile": TOKEN}).text == '"ok"'
        (event,) = events(seen)
        (span,) = served_spans(seen)
        everything = f"{seen.spans()}{seen.logs()}{seen.metrics()}"
    assert event.attributes["otelml.profile.trigger"] == "header"
    assert (event.trace_id, event.span_id) == (span.trace_id, span.span_id)
    assert span.attributes["otelml.profile.id"] == event.attributes["otelml.profile.id"]
    assert any("spin" in line for line in event.attributes["otelml.profile.top"])
    (file,) = tmp_path.iterdir()
    assert file.name == event.attributes["otelml.profile.file"]
    text = file.read_text()
    names = {frame["name"].rpartition(".")[2] for frame in json.loads(text)["shared"]["frames"]}
    assert "in_the_endpoint" in names
    assert ("dependency" in names) == (path == "/thread")
    assert TOKEN not in everything + text + file.name


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Otelml-Profile": ""}, {"X-Otelml-Profile": TOKEN[:-1]}, {"X-Otelml-Profile": "1"}, {"X-Profile": TOKEN}],
    ids=["none", "empty", "nearly", "guess", "another"],
)
def test_without_the_right_token_nothing_is_profiled(headers):
    """Untrusted callers get nothing: no profile, no other answer."""
    with serving(profile_token=TOKEN) as (url, seen):
        answer = get(url + "/loop", headers=headers)
        assert (answer.status_code, answer.text) == (200, '"ok"')
        assert "profile" not in str(answer.headers).lower()
        time.sleep(0.1)
        assert events(seen, 0) == []
        assert not [span for span in seen.spans() if "otelml.profile.id" in span.attributes]


def test_by_default_no_header_is_listened_to():
    """Without the setting no request is profiled, whatever it carries."""
    with serving() as (url, seen):
        get(url + "/loop", headers={"X-Otelml-Profile": TOKEN})
        assert not seen.runtime.profiles.asked
        time.sleep(0.1)
        assert events(seen, 0) == []


def test_by_rate_at_most_so_many_a_minute():
    """With a rate of 1, ten requests give as many profiles as a minute may have."""
    with serving(profile_rate="1/1", profile_per_minute=3) as (url, seen):
        for _ in range(10):
            assert get(url + "/loop").status_code == 200
        found = events(seen, 3)
    assert [event.attributes["otelml.profile.trigger"] for event in found] == ["rate"] * 3


def test_requests_at_once_are_profiled_one_at_a_time():
    """Twelve at once: all are answered, none is disturbed, and no two profiles overlap."""
    with serving(profile_rate=1, profile_per_minute=100) as (url, seen):
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(get(url + "/thread").text)) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(0.2)  # what was begun is told
        found = events(seen)
        spans = served_spans(seen, len(found))
    assert answers == ['"ok"'] * 12
    assert 1 <= len(found) == len(spans) < 12


def test_a_request_that_fails_is_profiled_and_fails():
    """The application's error is answered as ever, and the next profile works."""
    with serving(profile_token=TOKEN) as (url, seen):
        for number in (1, 2):
            assert get(url + "/boom", headers={"X-Otelml-Profile": TOKEN}).status_code == 500
            assert len(events(seen, number)) == number


def test_the_applications_random_numbers_stay_as_they_are():
    """A rate draws numbers of its own."""
    with recording(profile_rate=0.5) as seen:
        profiles = seen.runtime.profiles
        random.seed(7)
        expected = [random.random() for _ in range(3)]  # noqa: S311 - the application's
        random.seed(7)
        chosen = [profiles._trigger({"headers": []}) for _ in range(2000)]
        assert [random.random() for _ in range(3)] == expected  # noqa: S311 - the application's
    assert 800 < chosen.count("rate") < 1200


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"profile_token": "short"}, "16 to 256 visible"),
        ({"profile_token": "with spaces in it, and long"}, "16 to 256 visible"),
        ({"profile_rate": "2"}, "0 to 1"),
        ({"profile_rate": "3/2"}, "0 to 1"),
        ({"profile_rate": "1/0"}, "0 to 1"),
        ({"profile_rate": "a/b"}, "0 to 1"),
    ],
)
def test_bad_settings(settings, words):
    """Each is a fault that says what is expected; a token is not shown."""
    with pytest.raises(ConfigError, match=words) as caught:
        config.load(settings, {})
    assert "with spaces" not in str(caught.value)


@pytest.mark.parametrize(("given", "rate"), [("1/1000", 0.001), ("0.25", 0.25), (1, 1.0), ("0", 0.0)])
def test_a_rate_is_a_number_or_a_fraction(given, rate):
    """Both ways to write it mean the same."""
    assert config.load({"profile_rate": given}, {}).profile_rate == rate


def test_settings_that_ask_for_nothing():
    """A directory alone profiles no request."""
    asked = [Profiles(config.load(given, {}), None).asked for given in ({}, {"profile_directory": "x"})]
    assert asked == [False, False]
