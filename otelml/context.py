"""The request id of the current context, beside the trace context: it follows threads and tasks the same way.

The id travels between services only as the ``X-Request-ID`` header. It is not put into baggage, which would hand it
to every third party that is called.
"""

from __future__ import annotations

import os
import re
from contextvars import ContextVar
from random import Random, SystemRandom
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context

from otelml import _native, semconv

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from opentelemetry.context.context import Context

HEADER = "X-Request-ID"
MAX_LENGTH = 128

KEY = otel_context.create_key("otelml-request-id")
PREDICTION = otel_context.create_key("otelml-prediction-id")
"""Where a context holds the id of a prediction that is open in another process."""
_VALID = re.compile(rf"[A-Za-z0-9._:/+=@-]{{1,{MAX_LENGTH}}}")
# Extracting remote trace context, as every server instrumentation does, starts an empty OpenTelemetry context: the id
# set around it would be lost inside.
BESIDE: ContextVar[str | None] = ContextVar("otelml-request-id", default=None)
_prediction_lookup: Callable[[], str | None] | None = None
# Asking the operating system for each id lets go of the interpreter's lock, and a busy server waits to get it back.
_random = Random()  # noqa: S311 - ids, no secrets; of our own, as an application may seed the module's


def _reseed() -> None:
    """Take fresh entropy: forked processes never share an id."""
    _random.seed(SystemRandom().getrandbits(256))


_reseed()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reseed)


def new_id() -> str:
    """Return a fresh id: 128 random bits as 32 hex digits."""
    return f"{_random.getrandbits(128):032x}"


if _native.module is not None:
    new_id = _native.module.use_ids(_random)


def valid(value: str) -> bool:
    """Say whether ``value`` may be used as a request id: 1 to 128 letters, digits and ``. _ : / + = @ -``."""
    return _VALID.fullmatch(value) is not None


def accept(value: str | bytes | None) -> str:
    """Return ``value`` when it is a valid request id, else a fresh one."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return text if text is not None and valid(text) else new_id()


def request_id() -> str | None:
    """Return the id of the request being served in this context, or None outside of one."""
    return request_id_in(otel_context.get_current())


def request_id_in(current: Context) -> str | None:
    """Return the id of the request being served in the OpenTelemetry context that is current."""
    value = current.get(KEY)
    return value if type(value) is str else BESIDE.get()


class with_request_id:  # noqa: N801 - reads as a statement: with with_request_id(...)
    """Context manager that makes ``value`` the current request id; an invalid or absent one is replaced.

    ``with with_request_id(header) as request_id: ...``
    """

    __slots__ = ("_beside", "_token", "value")

    def __init__(self, value: str | bytes | None = None) -> None:
        self.value = accept(value)

    def __enter__(self) -> str:
        self._beside = BESIDE.set(self.value)
        self._token = otel_context.attach(otel_context.set_value(KEY, self.value))
        return self.value

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        otel_context.detach(self._token)
        BESIDE.reset(self._beside)


def prediction_id() -> str | None:
    """Return the id of the prediction that is open in this context, maybe in another process, or None."""
    return _prediction_lookup() if _prediction_lookup is not None else None


def set_prediction_lookup(lookup: Callable[[], str | None] | None) -> None:
    """Say how the current prediction's id is found; the predictions import this module, not the other way."""
    global _prediction_lookup  # noqa: PLW0603 - set once, at import of the predictions
    _prediction_lookup = lookup


def ids() -> dict[str, str]:
    """Return the request and prediction ids of this context as attributes, without those that are unknown."""
    found = ((semconv.REQUEST_ID, request_id()), (semconv.PREDICTION_ID, prediction_id()))
    return {name: value for name, value in found if value is not None}
