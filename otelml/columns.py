"""Ended predictions of one model and one shape as numpy columns: measured and encoded together, not one by one."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from otelml import _labels, _sdk, semconv
from otelml._lazy import LazyModule
from otelml.spans import NANO
from otelml.templates import ID, TRACE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from opentelemetry import trace

    from otelml.facts import Facts
    from otelml.prediction import Prediction
    from otelml.series import StageName
    from otelml.spans import OwnSpan
    from otelml.stage import Stage
else:
    np = LazyModule("numpy")


class Columns:
    """Ended predictions that differ in ids, times and results only.

    ``rows`` are the predictions, each with its stages as they were when the worker took it; n predictions have k
    stages each.
    """

    facts: Facts | None = None
    """What is known of them, once that was gathered: not where one of them is special."""

    def __init__(self, rows: list[tuple[Prediction, tuple[Stage, ...]]]) -> None:
        self.predictions = [p for p, _ in rows]
        self.stages = [stages for _, stages in rows]
        first, names = rows[0]
        self.series, self.special = first.series, first.special
        self.exported = first.sampled and not first.dropped
        """Whether their spans are exported, and exemplars may point to them."""
        self.names: tuple[StageName, ...] = tuple(stage.known for stage in names)
        self.error = None if first.error is None else _labels.bounded(semconv.ERROR_TYPE, first.error.type)
        self.stage_errors = [
            None if stage.error is None else _labels.bounded(semconv.ERROR_TYPE, stage.error.type) for stage in names
        ]
        self.started, self.ended, self.offset = _times(self.predictions).T
        self.stage_started, self.stage_ended = self._stage_ticks()

    def parts(self, size: int) -> Iterator[Columns]:
        """Return the same predictions, at most ``size`` at a time."""
        n = len(self.predictions)
        for i in range(0, n, size) if n > size else ():
            part = copy(self)
            for name in ("predictions", "stages", "started", "ended", "offset", "stage_started", "stage_ended"):
                setattr(part, name, getattr(self, name)[i : i + size])
            part.facts = None if self.facts is None else self.facts.part(i, size)
            yield part
        if n <= size:
            yield self

    def _stage_ticks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return ``perf_counter_ns`` at the start and end of each stage, of shape (n, k) each."""
        started, ended = _stage_times(self.stages).transpose(2, 0, 1)
        if not ended.all():  # begun by another thread at the very end
            ended = np.where(ended == 0, self.ended[:, None], ended)
        return started, ended

    @property
    def seconds(self) -> NDArray[np.float64]:
        """Durations of the predictions, of shape (n,)."""
        return in_seconds(self.ended - self.started)

    @property
    def stage_seconds(self) -> NDArray[np.float64]:
        """Durations of the stages, of shape (n, k)."""
        return in_seconds(self.stage_ended - self.stage_started)

    def ids(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return trace ids of shape (n, 16) and span ids of shape (n, 8), the highest byte first."""
        ids = np.frombuffer(_ids(self.predictions), np.uint8).reshape(-1, TRACE + ID)
        return ids[:, :TRACE], ids[:, TRACE:]

    def stage_ids(self) -> NDArray[np.uint8]:
        """Return span ids of the stages, of shape (n, k, 8)."""
        return np.frombuffer(_stage_ids(self.stages), np.uint8).reshape(len(self.stages), -1, ID)

    def parent_ids(self) -> NDArray[np.uint8]:
        """Return the ids of the spans above, of shape (n, 8), where there are any."""
        return np.frombuffer(_parent_ids(self.predictions), np.uint8).reshape(-1, ID)

    def origins(self, stage: int | None = None) -> Origins | None:
        """Return where n measurements come from: the predictions, or the stage of that number."""
        if not self.exported:
            return None
        return Origins(self.predictions if stage is None else [stages[stage] for stages in self.stages])


def _times(predictions: list[Prediction]) -> NDArray[np.int64]:
    """Return ``perf_counter_ns`` at start and end, and what to add for ns since the epoch, of shape (n, 3)."""
    return np.array([(p.started, p.ended, p.offset) for p in predictions], np.int64)


def _stage_times(stages: list[tuple[Stage, ...]]) -> NDArray[np.int64]:
    """Return ``perf_counter_ns`` at start and end of each stage, of shape (n, k, 2)."""
    ticks = [t for each in stages for stage in each for t in (stage.started, stage.ended)]
    return np.array(ticks, np.int64).reshape(len(stages), -1, 2)


def _ids(predictions: list[Prediction]) -> bytes:
    return b"".join([p.ids.to_bytes(TRACE + ID, "big") for p in predictions])


def _stage_ids(stages: list[tuple[Stage, ...]]) -> bytes:
    return np.array([stage.span_id for each in stages for stage in each], np.uint64).astype(">u8").tobytes()


def _parent_ids(predictions: list[Prediction]) -> bytes:
    return np.array([p.parent.span_id for p in predictions if p.parent], np.uint64).astype(">u8").tobytes()


def forget_stages(predictions: list[Prediction]) -> None:
    """Take the stages out of ended predictions, which they know: the garbage collector would find the cycle late."""
    for p in predictions:
        p.stages = []


def in_seconds(nanoseconds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the same times in seconds."""
    seconds: NDArray[np.float64] = np.multiply(nanoseconds, NANO)
    return seconds


class Origins:
    """The span that each of n measurements was made in: exemplars point there.

    Measurement i belongs to the i-th span, or, with ``sizes``, to the first whose sizes so far add up to more than i.
    """

    def __init__(self, spans: Sequence[OwnSpan], sizes: Sequence[int] | None = None) -> None:
        self._spans = spans
        self._ends = None if sizes is None else np.cumsum(sizes)
        self._index: NDArray[np.intp] | None = None

    def span(self, i: int) -> trace.Span:
        """Return the span of measurement i."""
        place = i if self._index is None else int(self._index[i])
        if self._ends is not None:
            place = int(np.searchsorted(self._ends, place, side="right"))
        return self._spans[place].span

    def kept(self, keep: NDArray[np.bool_]) -> Origins:
        """Return the origins of the measurements to keep; ``keep`` has the shape (n,)."""
        origins = Origins(self._spans)
        origins._ends = self._ends
        origins._index = np.flatnonzero(keep)
        return origins


def columns_of(predictions: list[Prediction]) -> list[Columns]:
    """Return ended predictions grouped by model and shape."""
    return [Columns(rows) for rows in _rows_of(predictions)]


def _rows_of(predictions: list[Prediction]) -> Iterable[list[tuple[Prediction, tuple[Stage, ...]]]]:
    groups: dict[Any, list[tuple[Prediction, tuple[Stage, ...]]]] = {}
    for p in predictions:
        stages = tuple(p.stages)
        remote = None if p.parent is None else _sdk.fields(p.parent)[2]
        key: tuple[Any, ...] = (p.series, p.special, p.sampled, p.flags, remote, *[stage.known for stage in stages])
        if p.special:
            errors = [p.error, *[stage.error for stage in stages]]
            key = key, p.dropped, *[None if error is None else error.type for error in errors]
        group = groups.get(key)
        if group is None:
            groups[key] = [(p, stages)]
        else:
            group.append((p, stages))
    return groups.values()


if _sdk.native is not None:
    _rows_of = _sdk.native.use_columns(_rows_of)
    _ids, _stage_ids, _parent_ids = _sdk.native.ids, _sdk.native.stage_ids, _sdk.native.parent_ids
    forget_stages = _sdk.native.forget_stages

    def _times(predictions: list[Prediction]) -> NDArray[np.int64]:
        return np.frombuffer(_sdk.native.times(predictions), np.int64).reshape(-1, 3)

    def _stage_times(stages: list[tuple[Stage, ...]]) -> NDArray[np.int64]:
        return np.frombuffer(_sdk.native.stage_times(stages), np.int64).reshape(len(stages), -1, 2)
