"""A running service, by its own ``/metrics``: labels near their limit or past it, what was lost, faults of otelml.

One process answers a scrape: with several workers it is one of them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

import requests

from otelml import semconv
from otelml._guard import attempt
from otelml._labels import OTHER
from otelml.doctor.findings import FAULT, NOTE, OK, Finding
from otelml.doctor.signals import without_secrets
from otelml.prometheus_names import label_name, metric_name

if TYPE_CHECKING:
    from collections.abc import Iterator

NEAR = 0.8
"""Share of its limit at which a label is near it."""
_MOST = 64 << 20
_ACCEPT = {"Accept": "text/plain;version=0.0.4;escaping=underscores"}
_SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_LIMITED = {label_name(row.name): row for row in semconv.ATTRIBUTES if row.limit and "<" not in row.name}
_HISTOGRAM = ("_bucket", "_count", "_sum")
Sample = tuple[str, dict[str, str], float]


def metrics(url: str, seconds: float = 5.0) -> Iterator[Finding]:
    """Read a Prometheus page of a service with otelml, and say what is near its limit, folded, lost or broken."""
    text, error = attempt(_page, url, seconds)
    if text is None:
        why = error or "nothing"
        yield Finding("metrics", FAULT, f"{without_secrets(url)}: {type(why).__name__}", "is the service up there?")
        return
    samples = list(_samples(text))
    ours = [each for each in samples if _is_ours(each[0])]
    if not ours:
        text = f"{without_secrets(url)} has {len(samples)} samples, none of them otelml's"
        yield Finding("metrics", FAULT, text, "is it the address of a program with otelml?")
        return
    yield Finding("metrics", OK, f"{len(samples)} samples, {len(ours)} of them otelml's")
    yield from _labels(ours)
    yield from _lost(ours)
    if any(labels.get("otel_metric_overflow") == "true" for _, labels, _ in samples):
        text = "an instrument of the program has over 2,000 series; the SDK puts the others into one"
        yield Finding("cardinality", FAULT, text, "find otel_metric_overflow in the page, and drop an attribute there")


def _page(url: str, seconds: float) -> str:
    with requests.get(url, headers=_ACCEPT, timeout=seconds, stream=True) as response:
        response.raise_for_status()
        body = b""
        for chunk in response.iter_content(1 << 16):
            body += chunk
            if len(body) > _MOST:
                raise ValueError("the page has no end")
    return body.decode("utf-8", "replace")


def _samples(text: str) -> Iterator[Sample]:
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        value, _ = attempt(float, match[3]) if match else (None, None)
        if match and value is not None:
            yield match[1], dict(_LABEL.findall(match[2] or "")), value


_NAMES = {
    metric_name(row.name, row.unit, counter=row.kind.endswith("counter"), gauge=row.kind.endswith("gauge"))
    for row in semconv.METRICS
}


def _is_ours(name: str) -> bool:
    return name in _NAMES or any(name.removesuffix(ending) in _NAMES for ending in _HISTOGRAM)


def _labels(samples: list[Sample]) -> Iterator[Finding]:
    """Count the values of each bounded label."""
    values: dict[str, set[str]] = defaultdict(set)
    folded: dict[str, float] = {}
    for name, labels, value in samples:
        if name.startswith("otelml_labels_folded"):
            folded[labels.get(label_name(semconv.DROPPED_WHAT), "")] = value
        for label in labels.keys() & _LIMITED.keys():
            values[label].add(labels[label])
    for label in sorted(values):
        yield from judged(_LIMITED[label].name, len(values[label] - {OTHER}), int(folded.get(_LIMITED[label].name, 0)))


def judged(attribute: str, known: int, folded: int) -> Iterator[Finding]:
    """Say how near an attribute is to its limit; nothing where it is far."""
    limit = semconv.attribute(attribute).limit or 0
    fix = f"give {attribute} fewer values: group them, or leave it out"
    if folded:
        text = f"{attribute} has all of its {limit} values; {folded} times one more became {OTHER}"
        yield Finding("cardinality", FAULT, text, fix)
    elif limit >= 5 and known >= NEAR * limit:  # noqa: PLR2004 - smaller ones are closed lists
        yield Finding("cardinality", NOTE, f"{attribute} has {known} of {limit} values; later ones become {OTHER}", fix)


def _lost(samples: list[Sample]) -> Iterator[Finding]:
    what, where = label_name(semconv.DROPPED_WHAT), label_name(semconv.DROPPED_WHERE)
    for name, labels, value in samples:
        if name.startswith("otelml_dropped") and value:
            text = f"{value:.0f} times {labels.get(what)} at {labels.get(where)}"
            yield Finding("dropped", FAULT, text, 'see "Fewer predictions than expected" in docs/troubleshooting.md')
        elif name.startswith("otelml_errors") and value:
            text = f"{value:.0f} at {labels.get(where)}: faults of otelml itself"
            yield Finding("errors", FAULT, text, "the first of each is in the program's log; please report it")
