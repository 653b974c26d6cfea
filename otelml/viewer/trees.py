"""A trace as a tree of spans, each with its log records in place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otelml.viewer.rows import LogRecord, Span
    from otelml.viewer.store import Store


@dataclass(frozen=True, slots=True)
class Node:
    """One span with the spans below it and the log records written in it, both in order of time."""

    span: Span
    children: list[Node] = field(default_factory=list)
    logs: list[LogRecord] = field(default_factory=list)

    @property
    def timeline(self) -> list[Node | LogRecord]:
        """Children and log records together, in order of time."""
        return sorted([*self.children, *self.logs], key=_time)


@dataclass(frozen=True, slots=True)
class Tree:
    """One trace: spans without a known parent, and log records without a known span."""

    roots: list[Node]
    loose_logs: list[LogRecord]


def trace_tree(store: Store, trace_id: str) -> Tree:
    """Return a trace as it was received so far; spans whose parent is missing stand at the top."""
    nodes: dict[str, Node] = {}
    for span in sorted(store.spans(trace_id=trace_id), key=lambda span: span.start_ns):
        nodes.setdefault(span.span_id, Node(span))  # a span that was sent twice is shown once
    for node in nodes.values():
        if node.span.parent_id in nodes:
            nodes[node.span.parent_id].children.append(node)
    loose = _attach(store.logs(trace_id=trace_id), nodes)
    roots = [node for node in nodes.values() if node.span.parent_id not in nodes]
    return Tree(_with_cut_cycles(roots, nodes), loose)


def _attach(logs: list[LogRecord], nodes: dict[str, Node]) -> list[LogRecord]:
    """Put each log record into its span's node; return those whose span is not there."""
    loose: list[LogRecord] = []
    for log in sorted(logs, key=_time):
        (nodes[log.span_id].logs if log.span_id in nodes else loose).append(log)
    return loose


def _with_cut_cycles(roots: list[Node], nodes: dict[str, Node]) -> list[Node]:
    """Return the roots and one span of every cycle: senders are not to be trusted, and every span must show."""
    seen: set[str] = set()
    for root in roots:
        _walk(root, seen)
    for span_id, node in nodes.items():
        if span_id not in seen:
            nodes[node.span.parent_id].children.remove(node)
            _walk(node, seen)
            roots.append(node)
    return sorted(roots, key=_time)


def _walk(node: Node, seen: set[str]) -> None:
    waiting = [node]
    while waiting:
        found = waiting.pop()
        seen.add(found.span.span_id)
        waiting.extend(found.children)


def _time(item: Node | LogRecord) -> int:
    return item.span.start_ns if isinstance(item, Node) else item.time_ns or item.observed_ns
