"""The exceptions otelml raises, at start-up or on direct misuse, never on the prediction path.

OtelmlError
├── ConfigError           one or more settings are wrong; ``faults`` lists every one
└── MissingExtraError     an integration that was asked for needs a package that is not installed
"""

from __future__ import annotations


class OtelmlError(Exception):
    """Base of every exception otelml raises."""


class ConfigError(OtelmlError):
    """One or more settings are wrong.

    Each fault names the setting, the bad value and the fix.
    """

    def __init__(self, faults: list[str]) -> None:
        self.faults = list(faults)
        noun = "fault" if len(faults) == 1 else "faults"
        lines = "\n".join(f"  - {fault}" for fault in faults)
        super().__init__(f"otelml cannot start: {len(faults)} {noun} in the configuration\n{lines}")


class MissingExtraError(OtelmlError):
    """A package that an extra brings is not installed; the message gives the install line."""

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs a package that is not installed: pip install 'otelml[{extra}]'")
