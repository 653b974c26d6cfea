"""Prediction methods of libraries other than scikit-learn: the outermost call counts, whatever it calls in turn.

A call that the application makes is a prediction with the stage ``inference``; within a prediction of the application's
own it is that stage, and its result goes there. scikit-learn's calls and these know of each other, so that a wrapper
and the model in it count once.
"""

from __future__ import annotations

from functools import partial, wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped

from otelml import _sdk, api, runtime
from otelml._guard import guard
from otelml.integrations._patching import Patch
from otelml.integrations._sklearn_calls import SILENT, outer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from otelml.prediction import Prediction

Facts = dict[str, Any]
"""Keyword arguments of ``Prediction.observe``."""
_BEGIN, _OBSERVE = guard("library.begin"), guard("library.observe")


class Method(NamedTuple):
    """A prediction method: the module of its class, ``Class.method``, and what reads one call of it."""

    module: str
    path: str
    read: Callable[[Any, Mapping[str, Any], Any], Facts]
    """Returns the facts of (model, arguments by name, result); keeps none of them."""


class LibraryInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # untyped
    """Measures the prediction methods of one library; derived classes say which."""

    framework: ClassVar[str]
    requirement: ClassVar[str]
    methods: ClassVar[tuple[Method, ...]]
    _patches: tuple[Patch, ...] = ()

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the packages this needs, as requirements."""
        return (self.requirement,)

    def _instrument(self, **_: Any) -> None:
        self._patches = self._replaced()

    def _replaced(self) -> tuple[Patch, ...]:
        return tuple(Patch(m.module, m.path, partial(measured, self._begun, m)) for m in self.methods)

    def _begun(self, model: Any, operation: str) -> Call | None:
        """Return the call that begins, of the frame above the caller's; None where it does not count."""
        return begin(model, self.framework, operation)

    def _uninstrument(self, **_: Any) -> None:
        patches, self._patches = self._patches, ()
        for patch in patches:
            patch.undo()


def measured(
    begun: Callable[[Any, str], Call | None], method: Method, original: Callable[..., Any]
) -> Callable[..., Any]:
    """Return the function that stands for a method; what it returns and raises is the original's."""
    names = tuple(signature(original).parameters)[1:]
    operation = method.path.rpartition(".")[2]

    @wraps(original)
    def call_measured(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        call = begun(self, operation)
        if call is None:
            return original(self, *args, **kwargs)

        def read(result: Any) -> Facts:
            return method.read(self, {**dict(zip(names, args, strict=False)), **kwargs}, result)

        return observed(call, original, (self, *args), kwargs, read)

    return call_measured


def observed(
    call: Call,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    read: Callable[[Any], Facts],
) -> Any:
    """Run a function within a call that has begun; ``read`` returns the facts of its result."""
    token = outer.set(SILENT)
    try:
        result = function(*args, **kwargs)
    except BaseException as error:
        call.finish(error)
        raise
    finally:
        outer.reset(token)
    with _OBSERVE:
        call.observe(read(result))
    call.finish()
    return result


class Call:
    """One call of the application's while it runs."""

    __slots__ = ("_framework", "_stage", "marked", "own", "prediction")

    def __init__(
        self, prediction: Prediction, framework: str | None, *, own: bool, attach: bool, stage: bool = True
    ) -> None:
        self.prediction, self._framework, self.own = prediction, framework, own
        if own:
            prediction.begin(attach=attach)
        self.marked = not own and prediction.stage_open
        """Whether it runs in a stage that the application has marked itself, and has none of its own."""
        begun = stage and not self.marked
        self._stage = prediction.stage("inference").begin(attach=attach) if begun else None

    def observe(self, facts: Facts) -> None:
        """Hand what was given and predicted to the prediction; the stage ends before."""
        self.end_stage()
        self.prediction.observe(framework=self._framework, **facts)

    def end_stage(self) -> None:
        """End the stage, where it is the call's own."""
        stage, self._stage = self._stage, None
        if stage is not None:
            stage.finish()

    def finish(self, error: BaseException | None = None) -> None:
        """End the stage and, where it is the call's own, the prediction."""
        stage, self._stage = self._stage, None
        if stage is not None:
            stage.finish(error)
        if self.own:
            self.prediction.finish(error)


def begin(
    model: Any,
    framework: str | None,
    operation: str,
    *,
    attach: bool = True,
    stage: bool = True,
    fallback: str | None = None,
    fallback_version: str | None = None,
) -> Call | None:
    """Return a call that counts, begun; None within another one, while otelml is off, and where it is suppressed.

    Without ``stage`` it has none of its own: libraries that it calls mark theirs. ``fallback`` and its version
    name a model that neither code nor settings name; its class does by default.
    """
    active = runtime.active
    if active is None or outer.get() is not None:
        return None
    with _BEGIN:
        around = _sdk.get_current()
        if around and _sdk.is_suppressed(around):
            return None
        current: Any = api.current_prediction() if around else None
        if current is not None:
            return Call(current, framework, own=False, attach=attach, stage=stage)
        name, version = active.models.name_of(model)
        fallback = fallback or type(model).__name__
        if name is None and fallback_version is not None and active.config.model_name is None:
            name, version = fallback, fallback_version
        made: Any = api.prediction(name, version, fallback=fallback, operation=operation, framework=framework)
        return Call(made, framework, own=True, attach=attach, stage=stage)
    return None
