"""How the exports of a queue went: kinds of failures, what is kept, and that it is a child's own after a fork."""

import time
from enum import Enum

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from otelml.deliveries import Deliveries, kind_of, note_kind
from otelml.export import BatchQueue
from otelml.outage import Outage


class Code(Enum):
    """As gRPC has them."""

    UNAVAILABLE = 14


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (("span", 401, "Unauthorized"), "HTTP 401"),
        (("span", None, ConnectionError("http://user:canary@host")), "ConnectionError"),
        (("span", 503, TimeoutError("canary")), "TimeoutError"),
        (("span", "host:4317", Code.UNAVAILABLE), "UNAVAILABLE"),
        (("Service Unavailable", "span", 1.5), "HTTP 503"),
        (("span", True, "canary"), None),
        ({"a": 1}, None),
        (None, None),
    ],
    ids=str,
)
def test_kinds(arguments, kind):
    """The class of an exception, a code, a status; never a text."""
    assert kind_of(arguments) == kind


def test_what_is_kept():
    """The last failure stays to be read after a success, which ends the failures in a row."""
    one = Deliveries()
    note_kind(("span", 503, "Service Unavailable"))
    one.failed(None)
    assert one.error == "HTTP 503"
    one.failed(ConnectionError("canary"))
    assert (one.succeeded, one.consecutive, one.error) == (None, 2, "ConnectionError")
    one.worked()
    assert (one.consecutive, one.error) == (0, "ConnectionError")
    assert one.succeeded == pytest.approx(time.monotonic(), abs=5)
    note_kind(("span", 401, "Unauthorized"))
    one.worked()  # at the second attempt
    one.failed(None)
    assert one.error == "failure"


class Exporter:
    """Does what it is told to, one export after the other."""

    def __init__(self, *told):
        self.told = list(told)

    def export(self, _):
        """Raise, or return, what comes next."""
        first = self.told.pop(0)
        if isinstance(first, Exception):
            raise first
        return first

    def shutdown(self):
        """Do nothing."""


def test_of_a_queue():
    """A queue notes each export; a failure without a word is called one."""
    told = (SpanExportResult.SUCCESS, SpanExportResult.FAILURE, ValueError("canary"))
    exporter = Exporter(*told)
    queue = BatchQueue("span", lambda: exporter, lambda *_: None, Outage(), delay=60)
    seen = []
    for item in told:
        queue.put(item)
        queue.force_flush(5)
        seen.append((queue.deliveries.succeeded is not None, queue.deliveries.consecutive, queue.deliveries.error))
    assert seen == [(True, 0, None), (True, 1, "failure"), (True, 2, "ValueError")]
    queue._after_fork()
    assert queue.deliveries == Deliveries()
    queue.shutdown(0.1)
