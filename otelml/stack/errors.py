"""What can be wrong with the stack, all faults in one message."""

from __future__ import annotations

from otelml.errors import OtelmlError


class StackError(OtelmlError):
    """The stack can't do what was asked; ``faults`` lists every reason, each with its fix."""

    def __init__(self, what: str, faults: list[str]) -> None:
        self.faults = list(faults)
        super().__init__("\n".join([what, *(f"  - {fault}" for fault in faults)]))
