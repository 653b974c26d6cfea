"""Carry the trace and the ids of request and prediction to where Python does not: pools, processes, queues, networks.

::

    with otelml.propagate.Executor(ThreadPoolExecutor()) as pool:   # every function runs in the caller's context
        pool.submit(predict, row)
    Process(target=otelml.propagate.wrap(predict), args=(row,))     # one function, with the context of now
    queue.put((otelml.propagate.inject(), row))                     # a message, with the context of now ...
    with otelml.propagate.attached(headers):                        # ... and what its receiver does

``asyncio`` tasks, ``asyncio.to_thread`` and forked processes carry the context by themselves. Nothing here raises,
changes a result or an exception of the function, or needs otelml to be on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent import futures
from functools import update_wrapper
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter

from otelml import _sdk, context
from otelml._guard import guard
from otelml.prediction import Prediction
from otelml.spans import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from types import TracebackType

__all__ = ["Executor", "attached", "call", "inject", "wrap"]

P = ParamSpec("P")
R = TypeVar("R")
Carrier = Mapping[str, Any] | Iterable[tuple[str, Any]] | None
"""Headers: a mapping, or pairs such as gRPC's metadata and Kafka's headers; values are text or UTF-8 bytes."""

REQUEST = context.HEADER.lower()
PREDICTION = "x-prediction-id"
MOST = 256
"""Headers that are looked at."""


class _Headers(Getter[dict[str, list[str]]]):
    """Reads headers whose names are in lower case, whatever case they are asked for in."""

    def get(self, carrier: dict[str, list[str]], key: str) -> list[str] | None:
        """Return the values of a header, None where there are none."""
        return carrier.get(key.lower())

    def keys(self, carrier: dict[str, list[str]]) -> list[str]:
        """Return the names of all headers."""
        return list(carrier)


_HEADERS = _Headers()


def inject() -> dict[str, str]:
    """Return the context of now as headers, to be sent along with a message, a task or a request.

    They are those of ``OTEL_PROPAGATORS`` (W3C ``traceparent``, ``tracestate`` and ``baggage`` by default), and
    ``x-request-id`` and ``x-prediction-id`` where there are such. Names are in lower case, as gRPC wants them.
    """
    return headers_of(_sdk.get_current())


def headers_of(current: Context) -> dict[str, str]:
    """Return a context as headers."""
    made: dict[str, str] = {}
    headers: dict[str, str] = {}
    with guard("propagate.inject"):
        propagate.inject(made, current)
        headers = {name.lower(): value for name, value in made.items()}
        request, prediction = _ids(current)
        known = {REQUEST: request, PREDICTION: prediction}
        headers |= {name: value for name, value in known.items() if value is not None}
    return headers


def _ids(current: Context) -> tuple[str | None, str | None]:
    """Return the ids of the request and of the prediction that a context belongs to."""
    found = current.get(KEY)
    request, carried = context.request_id_in(current), current.get(context.PREDICTION)
    if isinstance(found, Prediction) and not found.ended:
        return found.request_id or request, found.id
    return request, carried if type(carried) is str else None


class attached:  # noqa: N801 - reads as a statement: with attached(...)
    """Context manager in which the sender's context is current: what runs inside belongs to its trace and request.

    Headers that are missing, malformed or not ours are ignored. It may be given anything that ``inject()`` returned,
    the metadata of a gRPC call, the headers of an HTTP request or of a message.
    """

    __slots__ = ("_beside", "_carrier", "_token")

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._token: Any = None
        self._beside: Any = None

    def __enter__(self) -> None:
        with guard("propagate.attached"):
            headers = _read(self._carrier)
            made = _context_of(headers)
            self._token = _sdk.attach(made)
            request = context.request_id_in(made)
            self._beside = context.BESIDE.set(request)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with guard("propagate.detach"):
            if self._beside is not None:
                _reset(self._beside)
            if self._token is not None:
                _sdk.detach(self._token)


def _reset(token: Any) -> None:
    try:
        context.BESIDE.reset(token)
    except (ValueError, RuntimeError):  # it was entered in another task or thread
        return


def _read(carrier: object) -> dict[str, list[str]]:
    """Return headers by name in lower case; what is not text is left out."""
    pairs = carrier.items() if isinstance(carrier, Mapping) else carrier
    headers: dict[str, list[str]] = {}
    if isinstance(pairs, Iterable) and not isinstance(pairs, str | bytes):
        for _, pair in zip(range(MOST), pairs, strict=False):
            with guard("propagate.header"):
                if isinstance(pair, Iterable) and len(both := tuple(pair)) == 2:  # noqa: PLR2004 - a pair
                    name, value = map(_text, both)
                    if name is not None and value is not None:
                        headers.setdefault(name.lower(), []).append(value)
    return headers


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def _context_of(headers: dict[str, list[str]]) -> Context:
    before = _sdk.get_current()
    made = propagate.extract(headers, before, getter=_HEADERS) if headers else before
    known = dict(made)
    if trace.get_current_span(made) is not trace.get_current_span(before):
        known.pop(KEY, None)  # the receiver's own prediction is of another trace
    for name, key in ((REQUEST, context.KEY), (PREDICTION, context.PREDICTION)):
        value = headers.get(name, [""])[0]
        if context.valid(value):
            known[key] = value
    return Context(known)


def outside(current: Context) -> Context:
    """Return a context as it is in another process: the span and the ids are known, the prediction is not open."""
    request, prediction = _ids(current)
    ids = {context.KEY: request, context.PREDICTION: prediction}
    known = {key: value for key, value in current.items() if key != KEY}
    known |= {key: value for key, value in ids.items() if value is not None}
    span = trace.get_current_span(current).get_span_context()
    return trace.set_span_in_context(trace.NonRecordingSpan(span), Context(known))


# Functions ------------------------------------------------------------------------------------------------------


def call(carrier: Carrier, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function in the sender's context and return what it returns; for tasks, as of Ray, sent by name."""
    with attached(carrier):
        return function(*args, **kwargs)


def wrap(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function, to be called anywhere in the context of now: in another thread, pool or process.

    It keeps the function's name and signature, and can be pickled where the function can. A coroutine function runs
    in that context too; the body of a generator, which runs later, does not. Wrap it when it is handed over: as a
    decorator it would carry the context in which the module was imported.
    """
    return _Wrapped(function, _sdk.get_current(), context.BESIDE.get())


class _Wrapped(Generic[P, R]):
    """A function, and the context that it is called in."""

    def __init__(self, function: Callable[P, R], current: Context, beside: str | None) -> None:
        with guard("propagate.wrap"):
            update_wrapper(self, function)
        self._function, self._current, self._beside = function, current, beside
        self._pid = os.getpid()

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if iscoroutinefunction(self._function):
            return self._later(*args, **kwargs)  # type: ignore[return-value] # what the function returns: a coroutine
        with _Current(self._context(), self._beside):
            return self._function(*args, **kwargs)

    async def _later(self, *args: Any, **kwargs: Any) -> Any:
        function: Callable[..., Any] = self._function
        with _Current(self._context(), self._beside):
            return await function(*args, **kwargs)

    def _context(self) -> Context:
        """Return the context; in a forked child the prediction in it is the parent's."""
        return self._current if self._pid == os.getpid() else outside(self._current)

    def __reduce__(self) -> tuple[Any, ...]:
        carrier = headers_of(self._current)
        if self._beside is not None:
            carrier.setdefault(REQUEST, self._beside)
        return _unpickled, (self._function, carrier)


def _unpickled(function: Callable[P, R], carrier: dict[str, str]) -> Callable[P, R]:
    """Return a function that came from another process, to be called in the context that came with it."""
    with attached(carrier):
        return wrap(function)


class _Current:
    """Context manager in which an OpenTelemetry context, and the request id beside it, are current."""

    __slots__ = ("_beside", "_context", "_set", "_token")

    def __init__(self, current: Context, beside: str | None) -> None:
        self._context, self._beside = current, beside

    def __enter__(self) -> None:
        self._set = context.BESIDE.set(self._beside)
        self._token = _sdk.attach(self._context)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        _sdk.detach(self._token)
        _reset(self._set)


class Executor(futures.Executor):
    """An executor, of threads or processes, whose functions run in the context in which they were submitted.

    ``with otelml.propagate.Executor(ThreadPoolExecutor(4)) as pool: ...`` closes the executor that it was given.
    """

    def __init__(self, executor: futures.Executor) -> None:
        self._executor = executor

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Submit a function, as to the executor itself."""
        return self._executor.submit(wrap(fn), *args, **kwargs)

    def map(self, fn: Callable[..., R], *iterables: Iterable[Any], **options: Any) -> Iterator[R]:
        """Map a function over iterables, with the executor's own options (``timeout``, ``chunksize``)."""
        return self._executor.map(wrap(fn), *iterables, **options)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Close the executor that it was given."""
        self._executor.shutdown(wait, cancel_futures=cancel_futures)
