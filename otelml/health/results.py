"""What is answered, and as which JSON: that of the draft "Health Check Response Format for HTTP APIs" (health+json)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PASS: Final = "pass"  # noqa: S105 - the draft's word
WARN: Final = "warn"
FAIL: Final = "fail"
MEDIA_TYPE = "application/health+json"
DEPENDENCY, MODEL, STATE = "dependency", "model", "state"


@dataclass(frozen=True, slots=True)
class Result:
    """How one check went. Of an exception there is the class alone: its text may quote an address or a password."""

    name: str
    status: str
    """``pass``, ``warn`` (it failed and is not critical) or ``fail``."""
    kind: str = DEPENDENCY
    """``dependency``, ``model`` or ``state`` (of this process: starting up, loading, ending)."""
    seconds: float | None = None
    """How long the check took, or has been taking."""
    error: str | None = None
    """Class of the exception, ``timeout``, ``refused`` (it returned False), or what the state is."""
    at: float = 0.0
    """When it ended, in seconds since the epoch; 0 where it has not."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as the draft wants a check."""
        found: dict[str, Any] = {"status": self.status, "componentType": self.kind}
        if self.seconds is not None:
            found |= {"observedValue": round(self.seconds, 6), "observedUnit": "s"}
        if self.at:
            found["time"] = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds")
        if self.error is not None:
            found["output"] = self.error
        return found


@dataclass(frozen=True, slots=True)
class Report:
    """The answer to one question, and the checks it was made of."""

    status: str = PASS
    """``pass``; ``warn`` where only checks that are not critical failed; ``fail``."""
    checks: tuple[Result, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the answer is yes: ``pass`` or ``warn``."""
        return self.status != FAIL

    @property
    def code(self) -> int:
        """The HTTP status: 200 or 503."""
        return 200 if self.ok else 503

    def to_dict(self) -> dict[str, Any]:
        """Return it as the draft wants a response; checks by their name."""
        found: dict[str, Any] = {"status": self.status}
        if self.checks:
            found["checks"] = {check.name: [check.to_dict()] for check in self.checks}
        return found


def report_of(results: Sequence[Result]) -> Report:
    """Return what checks say together: the worst of them."""
    seen = {result.status for result in results}
    return Report(next((status for status in (FAIL, WARN) if status in seen), PASS), tuple(results))


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that is known of this process. Values that are unknown are left out; sizes are in bytes."""

    report: Report
    """Readiness."""
    service: str | None = None
    uptime: float | None = None
    """Seconds since the process started."""
    versions: Mapping[str, str] = field(default_factory=dict)
    models: Sequence[Mapping[str, Any]] = ()
    process: Mapping[str, float] = field(default_factory=dict)
    system: Mapping[str, float] = field(default_factory=dict)
    gpus: Sequence[Mapping[str, Any]] = ()
    recorder: Mapping[str, int] = field(default_factory=dict)
    """Predictions that wait for otelml's thread, and how many may."""
    exporters: Sequence[Mapping[str, Any]] = ()
    dropped: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """What was dropped, and where, since the start of the process."""
    errors: Mapping[str, int] = field(default_factory=dict)
    """Faults of otelml's own, by place."""

    @property
    def ok(self) -> bool:
        """Whether the process is ready."""
        return self.report.ok

    @property
    def code(self) -> int:
        """The HTTP status: always 200, as the question was answered."""
        return 200

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON: the draft's response, with members of our own beside."""
        names = [name for name in self.__slots__ if name != "report"]
        return self.report.to_dict() | {name: value for name in names if (value := getattr(self, name)) is not None}
