"""The errors of drift detection: both list every fault, so that one run shows all there is to mend."""

from __future__ import annotations

from otelml.errors import OtelmlError


class _FaultsError(OtelmlError):
    what = ""

    def __init__(self, faults: list[str]) -> None:
        self.faults = list(faults)
        noun = "fault" if len(faults) == 1 else "faults"
        super().__init__("\n".join([f"{self.what}: {len(faults)} {noun}", *(f"  - {fault}" for fault in faults)]))


class InvalidReferenceError(_FaultsError):
    """A reference is of another version, or inconsistent; ``faults`` names every field and what is wrong with it."""

    what = "not a reference that can be used"


class InvalidDataError(_FaultsError):
    """Data can't be read as columns, or not as those of the reference; ``faults`` names every column."""

    what = "the data can't be compared"
