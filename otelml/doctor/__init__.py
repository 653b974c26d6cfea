"""``otelml doctor``: what these settings will do, before anything runs: where each signal goes, and what is wrong.

A check takes the settings and gives findings; another one is a function in ``CHECKS``. What is sent are empty OTLP
requests, and nothing with ``offline``; nothing is left running.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otelml.doctor import integrations, machine, packages, reach, sdk, signals, spool, twice, workers
from otelml.doctor.findings import FAULT, NOTE, OK, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otelml.config import Config

__all__ = ["CHECKS", "FAULT", "NOTE", "OK", "ONLINE", "Finding", "examine"]

ONLINE: tuple[Callable[[Config], Iterable[Finding]], ...] = (reach.endpoints,)
"""Checks that send something."""
CHECKS: tuple[Callable[[Config], Iterable[Finding]], ...] = (
    *(
        signals.signals,
        spool.spooled,
        *ONLINE,
        packages.versions,
        packages.clashes,
        integrations.integrations,
        twice.instrumented,
        workers.workers,
    ),
    *(machine.gpus, machine.fallbacks, sdk.canaries, sdk.accelerator),
)


def examine(settings: Config, *, offline: bool = False) -> list[Finding]:
    """Run every check; ``offline`` leaves out those that send something.

    Raises:
        ConfigError: An exporter cannot be made, as ``auto_instrument()`` would say.
        MissingExtraError: A setting needs an extra that is not installed.
    """
    return [finding for check in CHECKS if not (offline and check in ONLINE) for finding in check(settings)]
