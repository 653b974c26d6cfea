"""Unsent OTLP batches on the disk: written before they are sent, deleted when the receiver has them.

A batch is one file; each process has a folder of its own, and what a dead one left behind is sent by a living one or
by ``otelml spool send``. Nothing of it runs on the caller's thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otelml import otlp
from otelml._guard import logger
from otelml.config import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelml.config import Config
    from otelml.export import Exporter, OnDrop


def maker(config: Config, on_drop: OnDrop) -> Callable[[str, str], Callable[[], Exporter]]:
    """Return what gives, for a signal and the name of an exporter, what makes it; with a spool where one is set."""

    def plain(signal: str, name: str) -> Callable[[], Exporter]:
        return otlp.maker(config, signal, name, on_drop)

    if config.spool_dir is None:
        return plain
    from otelml.spool.exporting import Spooled  # noqa: PLC0415 - it costs nothing while it is off

    spooled = Spooled(config, on_drop)
    return lambda signal, name: spooled.maker(signal) if name == "otlp" else plain(signal, name)


def say_unused(config: Config, owned: frozenset[str]) -> None:
    """Warn of signals that a spool is set for and whose exporters are not made by otelml."""
    others = [signal for signal in SIGNALS if signal not in owned]
    if config.spool_dir is not None and others:
        logger.warning(
            "otelml: %s are not kept in OTELML_SPOOL_DIR: their exporters are made by the application or by "
            "OTEL_CONFIG_FILE",
            " and ".join(others),
        )
