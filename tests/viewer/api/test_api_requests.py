"""Whatever is asked, each path answers or says what is wrong: no value reaches Python's or DuckDB's own errors."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from otelml._guard import attempt
from otelml.viewer.api.parameters import Asked, BadRequestError, NotFoundError
from otelml.viewer.api.routes import ROUTES

KEYS = ["model", "duration", "severity", "status", "http.route", "ml.stage", "a/b", "x~y", "body", "event", "service"]
VALUES = [
    "",
    "1",
    "1e309",
    "-0",
    "nan",
    "50ms",
    "warn",
    "delay",
    '"',
    "'",
    "%",
    "\\",
    "[1]",
    "true",
    "9" * 40,
    "9" * 400,
]
TERM = some.builds(
    lambda key, operator, value: f"{key}{operator}{value}",
    some.sampled_from(KEYS) | some.text(max_size=5),
    some.sampled_from(["=", "!=", ">", ">=", "<", "<=", "~", "", ":"]),
    some.sampled_from(
        ["", "1", "1e309", "-0", "nan", "50ms", "warn", "delay", '"', "'", "%", "\\", "[1]", "true", "9" * 40]
    )
    | some.text(max_size=6),
)
QUERY = some.lists(TERM, max_size=4).map(" ".join)
HUGE = (str(2**63 - 1), str(-(2**63 - 1)), str(2**64), "9" * 400)
NUMBER = some.sampled_from(
    ["0", "1", "-1", "1e300", str(2**63 - 1), str(-(2**63 - 1)), str(2**64), "1.5", "x", "", "٣", "1e3"]
)
GIVEN = {
    "q": QUERY,
    "where": QUERY,
    "expression": QUERY,
    "by": some.sampled_from(["", "*", "ml.stage", "instance", "'"]),
    "key": some.sampled_from(KEYS) | some.text(max_size=5),
    "prefix": some.text(max_size=5),
    "signal": some.sampled_from(["traces", "logs", "metrics", "profiles"]),
    "model": some.just("delay") | some.text(max_size=3),
    "name": some.sampled_from(["ml.requests", "ml.prediction.duration", "ml.model.loaded", "none"]),
    "stat": some.sampled_from(["", "rate", "p50", "heatmap", "value", "mean", "max"]),
    **dict.fromkeys(("from", "to", "limit", "cursor", "min_s", "max_s", "after", "timeout"), NUMBER),
    "version": some.sampled_from(["1", "2", "", "x"]),
    "id": some.sampled_from(["0" * 32, "x", "G" * 32]),
    "tail_after": some.sampled_from(["0-0", "1", "-", "9" * 30 + "-1"]),
    "severity": some.sampled_from(["warn", "", "loud"]),
    "errors": some.sampled_from(["1", "0", "yes"]),
    "format": some.sampled_from(["json", "csv", "xml"]),
}
ASKED = {
    "traces": ("q", "errors", "min_s", "max_s", "limit", "cursor"),
    "logs": ("q", "severity", "limit", "cursor", "tail_after"),
    "metric": ("name", "by", "where", "stat"),
    "model": ("model", "version"),
    "values": ("signal", "key", "prefix"),
    "attributes": ("signal", "prefix"),
    "check": ("expression",),
    "export": ("signal", "after", "limit"),
    "trace": ("id",),
    **dict.fromkeys(("models", "metrics", "slos", "health"), ()),
}


@pytest.mark.parametrize("name", sorted(ASKED))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(data=some.data())
def test_every_request_is_answered_or_refused(served, name, data):
    """Random parameters, edges of time and number among them: JSON comes out, or a fault with its fix."""
    names = (*ASKED[name], "from", "to")
    given_ = {each: data.draw(GIVEN[each], each) for each in names if data.draw(some.booleans())}
    found, error = attempt(ROUTES[name].function, served.store, Asked(given_, now_ns=served.now))
    if error is None:
        json.dumps(found, allow_nan=False)
        ROUTES[name].rows(found)
    else:
        assert isinstance(error, (BadRequestError, NotFoundError)), repr(error)
        assert error.fix
