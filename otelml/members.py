"""Predictions made for several requests at once: the batch links to each, and each one's own trace holds its share.

A request joins with ``otelml.batch_member()`` where its own span is current, and hands that over with its row. Whoever
predicts gives all members to ``otelml.prediction(members=...)``; or integrations of servers, which see the batch but
not the model, make a context in which the prediction that comes finds them.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry.context.context import Context

from otelml import _labels, _sdk, context, semconv
from otelml._guard import attempt, guard
from otelml._lazy import is_numpy
from otelml.off import suppressed
from otelml.prediction import current
from otelml.spans import NANO, OwnSpan
from otelml.tracers import Ended

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.trace import SpanContext

    from otelml.prediction import Prediction
    from otelml.result import Result


TOGETHER = otel_context.create_key("otelml-together")
"""Where a context holds the requests that what is predicted in it is for."""
_NOBODY: tuple[Member, ...] = ()


class Member:
    """A request that waits to be predicted together with others. Made by ``otelml.batch_member``."""

    __slots__ = ("context", "id", "joined", "request_id", "silent")

    def __init__(self) -> None:
        current = _sdk.get_current()
        self.context = _sdk.span_in(current).get_span_context()
        self.request_id = context.request_id_in(current)
        self.joined = perf_counter_ns()
        self.silent = suppressed()
        """Whether it is not to be observed: a batch of such members alone is none."""
        self.id = context.new_id()
        """Id of this request's prediction, 32 hex digits: outcomes that arrive later refer to it."""

    @property
    def sampled(self) -> bool:
        """Whether the request's trace is sampled."""
        return self.context.is_valid and self.context.trace_flags.sampled

    def link(self) -> tuple[SpanContext, dict[str, Any]]:
        """Return the link from the batch to this request."""
        return self.context, {} if self.request_id is None else {semconv.REQUEST_ID: self.request_id}


class Joined:
    """A request that waits, with all of its context; made where its span is current."""

    __slots__ = ("context", "member")

    def __init__(self) -> None:
        self.member, self.context = Member(), _sdk.get_current()


def together(joined: Sequence[Joined]) -> Context:
    """Return the context to predict in for these requests: that of the only one, or one outside of all their traces."""
    if len(joined) == 1:
        return joined[0].context
    return Context({TOGETHER: tuple(each.member for each in joined)} if joined else {})


def work_for(joined: Sequence[Joined]) -> None:
    """Make what comes next in this task or thread the work for these requests; nothing is put back."""
    _sdk.attach(together(joined))
    context.BESIDE.set(joined[0].member.request_id if len(joined) == 1 else None)


class Places:
    """Who waits for a batch of a server that hands on nothing of ours: known by the very object that was handed in."""

    def __init__(self) -> None:
        self._waiting: dict[int, deque[Joined]] = {}

    @contextmanager
    def waiting(self, given: object) -> Iterator[None]:
        """Be known by an object as the request that is current, until it is answered."""
        joined = attempt(Joined)[0]
        if joined is None:
            yield
            return
        self.join(given, joined)
        try:
            yield
        finally:
            with guard("members.leave"):
                self._leave(given, joined)

    def join(self, given: object, joined: Joined) -> None:
        """Note who handed in an object; one that is handed in twice is known twice."""
        self._waiting.setdefault(id(given), deque()).append(joined)

    def _leave(self, given: object, joined: Joined) -> None:
        """Forget a request that no batch has taken."""
        queue = self._waiting.get(id(given), ())
        if joined in queue:
            self._waiting[id(given)].remove(joined)
        if not self._waiting.get(id(given), True):
            del self._waiting[id(given)]

    def taken(self, given: object) -> Joined | None:
        """Return who handed in an object, once."""
        queue = self._waiting.get(id(given))
        joined = queue.popleft() if queue else None
        if queue is not None and not queue:
            self._waiting.pop(id(given), None)
        return joined


def waiting(around: Context) -> Sequence[Member]:
    """Return the requests that the outermost prediction of a context is for."""
    found = around.get(TOGETHER)
    return found if isinstance(found, tuple) and current() is None else _NOBODY


class Share(OwnSpan):
    """The span of one member: as long as the batch, in the member's own trace."""

    def __init__(self, member: Member, p: Prediction) -> None:
        self.parent = member.context
        self._name = p.span_name
        self._id = p.way.span_id()

    @property
    def span_name(self) -> str:
        """Return the name of the batch's span."""
        return self._name

    @property
    def open(self) -> bool:
        """Return False: it is made when the batch has ended."""
        return False

    def made_context(self) -> SpanContext:
        """Return a context in the member's trace."""
        return _sdk.child_context(self.parent, self._id) if self.parent else super().made_context()


def links(p: Prediction) -> list[tuple[SpanContext, dict[str, Any]]]:
    """Return the links from a prediction to the requests it was made for."""
    return [member.link() for member in p.members if member.context.is_valid]


def shares(p: Prediction, result: Result) -> Iterator[Ended]:
    """Return the spans that the traces of its members hold of an ended prediction; those of sampled traces only."""
    times = (p.started + p.offset, p.ended + p.offset)
    back = [(p.get_span_context(), dict[str, Any]())] if p.sampled else []
    for i, member in enumerate(p.members):
        if member.sampled:
            attributes = {**_attributes(p, member), **_row(result, i, len(p.members))}
            yield Ended(Share(member, p), member.context, times, attributes, p.error, back)


def _attributes(p: Prediction, member: Member) -> dict[str, Any]:
    known: dict[str, Any] = {
        **p.series.attributes,
        semconv.PREDICTION_ID: member.id,
        semconv.BATCH_SIZE: len(p.members),
        semconv.BATCH_WAIT: (p.started - member.joined) * NANO,
    }
    if member.request_id is not None:
        known[semconv.REQUEST_ID] = member.request_id
    if p.error is not None:
        known[semconv.ERROR_TYPE] = p.error.type
    return known


def _row(result: Result, i: int, n: int) -> dict[str, Any]:
    """Return what was predicted for member i of n, where there is one row for each."""
    found = {
        semconv.PREDICTION_CLASS: _at(result.classes, i, n),
        semconv.PREDICTION_CONFIDENCE: _at(result.confidence, i, n),
        semconv.PREDICTION_VALUE: _at(result.values, i, n),
    }
    label = found[semconv.PREDICTION_CLASS]
    if label is not None:
        found[semconv.PREDICTION_CLASS] = _labels.text(label)
    return {name: value for name, value in found.items() if value is not None}


def _at(column: Any, i: int, n: int) -> Any:
    if is_numpy(column, "ndarray"):
        return column[i : i + 1].tolist()[0] if column.size == n else None
    return column if n == 1 else None
