"""What is kept on the disk until it arrives, and what is not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from otelml import config
from otelml.doctor.findings import NOTE, OK, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otelml.config import Config


def spooled(settings: Config) -> Iterator[Finding]:
    """Say what is kept on the disk until it arrives, and what is not."""
    if settings.spool_dir is None or settings.sdk_disabled:
        return
    if settings.otel_config:
        yield Finding("spool", NOTE, "not used: OTEL_CONFIG_FILE builds the exporters", "unset OTEL_CONFIG_FILE")
        return
    from otelml.spool.command import size, waiting  # noqa: PLC0415 - only where there is a spool

    lines, running = waiting(Path(settings.spool_dir))
    total = sum(line.bytes for line in lines)
    text = f"{size(total)} of {size(settings.spool_max_bytes)} in {settings.spool_dir}"
    left = total and not running
    yield Finding("spool", NOTE if left else OK, text, "otelml spool send, or start a service" if left else "")
    for signal in config.SIGNALS:
        names: tuple[str, ...] = getattr(settings, f"{signal}_exporter")
        others = [name for name in names if name != "otlp"]
        if others:
            text = f"{signal} to {', '.join(others)} are not kept: only OTLP has batches that can wait"
            yield Finding("spool", NOTE, text, f"set OTEL_{signal.upper()}_EXPORTER=otlp")
