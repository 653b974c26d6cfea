"""What ``otelml doctor`` prints: findings as lines, or as JSON; the exit code says whether there is a fault."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING

from otelml.doctor import examine, scrape
from otelml.doctor.findings import FAULT, Finding

if TYPE_CHECKING:
    from otelml.config import Config

OK, FAULTY = 0, 1


def run(settings: Config, *, as_json: bool = False, offline: bool = False, url: str | None = None) -> int:
    """Print the findings; return the exit code: 1 where there is a fault.

    Raises:
        OtelmlError: An exporter cannot be made, or an extra is missing.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own words on stderr say less than ours
    findings = examine(settings, offline=offline)
    if url:
        findings += scrape.metrics(url)
    faults = sum(finding.state == FAULT for finding in findings)
    print(json.dumps([asdict(finding) for finding in findings]) if as_json else table(findings, faults))
    return FAULTY if faults else OK


def table(findings: list[Finding], faults: int) -> str:
    """Return findings as lines, with each fix below its line, and what to do next."""
    width = max(len(finding.what) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.state:6}{finding.what:{width}}  {finding.detail}")
        if finding.fix:
            lines.append(f"{'':{width + 8}}→ {finding.fix}")
    if faults:
        noun = "the fault" if faults == 1 else f"the {faults} faults"
        lines.append(f"\nNext: repair {noun} above, then again: otelml doctor")
    else:
        lines.append("\nNext: otelml run -- python app.py")
    return "\n".join(lines)
