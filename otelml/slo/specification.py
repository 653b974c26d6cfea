"""Reads a specification of objectives in Sloth's format, and says everything that is wrong with it at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from otelml._guard import attempt
from otelml.errors import OtelmlError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VERSION = "prometheus/v1"


class Burn(NamedTuple):
    """One pair of windows: the budget burns ``factor`` times too fast in the long one, and still does in the short."""

    factor: str
    short: str
    long: str


BURNS = {
    "page": (Burn("14.4", "5m", "1h"), Burn("6", "30m", "6h")),
    "ticket": (Burn("3", "2h", "1d"), Burn("1", "6h", "3d")),
}
"""The SRE workbook's table for 30 days: 2 % of the budget in 1 h or 5 % in 6 h; 10 % in 1 d or in 3 d."""


class SpecError(OtelmlError):
    """A specification is at fault; the message has a line for each fault."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


@dataclass(frozen=True, slots=True)
class Alert:
    """What the page or the ticket of an objective carries."""

    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective. ``target`` is a share, 0 < target < 1; of the queries, ``ratio`` or the other two are set."""

    service: str
    name: str
    description: str
    target: Decimal
    labels: Mapping[str, str]
    alerts: Mapping[str, Alert]
    error: str = ""
    total: str = ""
    ratio: str = ""

    @property
    def identity(self) -> dict[str, str]:
        """Return the labels that every series of this objective carries."""
        return {
            "sloth_id": f"{self.service}-{self.name}",
            "sloth_service": self.service,
            "sloth_slo": self.name,
        }

    @property
    def percent(self) -> str:
        """Return the objective as a percentage, such as ``99.9``."""
        return f"{(self.target * 100).normalize():f}"

    @property
    def budget(self) -> Decimal:
        """Return the share of events that may be bad."""
        return 1 - self.target


_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
WINDOW_VARIABLE = re.compile(r"\{\{ *\.window *\}\}")
"""What a query holds in place of its range."""
_FIELDS = {
    "specification": {"version", "service", "labels", "slos"},
    "slo": {"name", "description", "objective", "labels", "sli", "alerting"},
    "sli": {"events", "raw"},
    "events": {"error_query", "total_query"},
    "raw": {"error_ratio_query"},
    "alerting": {"name", "labels", "annotations", "page_alert", "ticket_alert"},
    "alert": {"disable", "labels", "annotations"},
}
_OTHER_TOOLS = {"slo_plugins", "plugins", "plugin"}


def read(text: str) -> list[Objective]:
    """Return the objectives of one or more YAML documents; raise SpecError with every fault in them."""
    # Values that say they are a date or a number, and are none, raise anything.
    loaded, error = attempt(lambda: [document for document in yaml.safe_load_all(text) if document is not None])
    if error is not None:
        raise SpecError([f"not YAML: {str(error)[:1000]}"])
    documents = loaded or []
    reader = _Reader()
    objectives = [each for document in documents for each in reader.specification(document)]
    if not documents:
        reader.faults.append("the specification is empty")
    ids = [each.identity["sloth_id"] for each in objectives]
    reader.faults += [
        f"{double}: there are two of this name" for double in sorted({i for i in ids if ids.count(i) > 1})
    ]
    if reader.faults:
        raise SpecError(reader.faults)
    return objectives


def _shown(value: Any) -> str:
    """Return a name; nothing for what is none, which could take for ever to be written out."""
    return value[:200] if isinstance(value, str) else ""


class _Reader:
    """Reads a specification and collects its faults, so that all of them are told at once."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def specification(self, document: Any) -> list[Objective]:
        """Return the objectives of one document that are without fault."""
        spec = self._mapping(document, "the specification", "specification")
        if spec.get("version") != VERSION:
            self.faults.append(f"version must be {VERSION!r}")
        service = self._name(spec, "service", "")
        labels = self._labels(spec, "")
        rows = spec.get("slos")
        if not isinstance(rows, list) or not rows:
            self.faults.append("slos must be a list of at least one objective")
            return []
        return [each for i, row in enumerate(rows) if (each := self._objective(row, service, labels, i)) is not None]

    def _objective(self, row: Any, service: str, labels: dict[str, str], i: int) -> Objective | None:
        before = len(self.faults)
        name = _shown(row.get("name")) if isinstance(row, dict) else ""
        where = f"slos[{i}] {name}".rstrip() + ": "
        slo = self._mapping(row, where.removesuffix(": "), "slo")
        self._name(slo, "name", where)
        description = slo.get("description", "")
        if not isinstance(description, str):
            self.faults.append(f"{where}description must be text")
        target = self._target(slo, where)
        queries = self._queries(slo, where)
        alerts = self._alerts(slo, where)
        self._can_fire(alerts, target, where)
        labels = labels | self._labels(slo, where)
        if len(self.faults) > before or target is None:
            return None
        return Objective(service, name, description.strip(), target, labels, alerts, **queries)

    def _target(self, slo: dict[str, Any], where: str) -> Decimal | None:
        given = slo.get("objective")
        if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 < given < 100:  # noqa: PLR2004 - %
            self.faults.append(f"{where}objective must be a percentage over 0 and under 100, such as 99.9")
            return None
        return (Decimal(str(given)) / 100).normalize()

    def _queries(self, slo: dict[str, Any], where: str) -> dict[str, str]:
        sli = self._mapping(slo.get("sli"), f"{where}sli", "sli")
        if len(sli.keys() & _FIELDS["sli"]) != 1:
            self.faults.append(f"{where}sli must have events or raw, one of them")
            return {}
        kind = "events" if "events" in sli else "raw"
        fields = self._mapping(sli[kind], f"{where}sli.{kind}", kind)
        found = {key: self._query(fields, key, f"{where}sli.{kind}.") for key in sorted(_FIELDS[kind])}
        if kind == "raw":
            return {"ratio": found["error_ratio_query"]}
        if found["error_query"] and found["error_query"] == found["total_query"]:
            self.faults.append(f"{where}error_query and total_query are the same")
        return {"error": found["error_query"], "total": found["total_query"]}

    def _query(self, fields: dict[str, Any], key: str, where: str) -> str:
        query = fields.get(key)
        if not isinstance(query, str) or not WINDOW_VARIABLE.search(query):
            self.faults.append(f"{where}{key} must be a query with {{{{.window}}}} for its range")
            return ""
        return query.strip()

    def _alerts(self, slo: dict[str, Any], where: str) -> dict[str, Alert]:
        alerting = self._mapping(slo.get("alerting"), f"{where}alerting", "alerting")
        labels, annotations = self._labels(alerting, f"{where}alerting."), self._texts(alerting, where, "annotations")
        alerts = {}
        for kind in BURNS:
            at = f"{where}alerting.{kind}_alert"
            own = self._mapping(alerting.get(f"{kind}_alert", {}), at, "alert")
            if not isinstance(own.get("disable", False), bool):
                self.faults.append(f"{at}.disable must be true or false")
            if own.get("disable") is not True:
                more, notes = self._labels(own, f"{at}."), self._texts(own, f"{at}.", "annotations")
                alerts[kind] = Alert(_shown(alerting.get("name")), labels | more, annotations | notes)
        if alerts:
            self._name(alerting, "name", f"{where}alerting.")
        return alerts

    def _can_fire(self, alerts: dict[str, Alert], target: Decimal | None, where: str) -> None:
        """An error ratio never exceeds 1: an alert that waits for more gives false peace."""
        for kind in alerts if target is not None else ():
            factor = max(Decimal(burn.factor) for burn in BURNS[kind])
            needed = factor * (1 - (target or 0))
            if needed >= 1:
                lowest = 100 * (1 - 1 / factor)
                self.faults.append(
                    f"{where}the {kind} could never fire: it needs an error ratio over {factor} x {1 - (target or 0):f}"
                    f" = {needed:f}, and none is over 1. Set an objective over {lowest:.2f},"
                    f" or alerting.{kind}_alert.disable: true"
                )

    def _mapping(self, value: Any, where: str, kind: str) -> dict[str, Any]:
        """Return a mapping with the known fields of its kind; an empty one where it is something else."""
        if not isinstance(value, dict):
            self.faults.append(f"{where} must be a mapping of {', '.join(sorted(_FIELDS[kind]))}")
            return {}
        for key in sorted(map(str, value.keys() - _FIELDS[kind])):
            why = "plugins of Sloth are not supported" if key in _OTHER_TOOLS else "there is no such field"
            self.faults.append(f"{where}: {key}: {why}")
        return value

    def _name(self, fields: dict[str, Any], key: str, where: str) -> str:
        name = fields.get(key)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self.faults.append(f"{where}{key} must be letters, digits, '-', '_' and '.', and begin and end with one")
            return ""
        return name

    def _labels(self, fields: dict[str, Any], where: str) -> dict[str, str]:
        labels = self._texts(fields, where, "labels")
        self.faults += [f"{where}labels: {key!r} is no label name" for key in labels if not _LABEL.fullmatch(key)]
        return labels

    def _texts(self, fields: dict[str, Any], where: str, key: str) -> dict[str, str]:
        texts = fields.get(key, {})
        pairs = texts.items() if isinstance(texts, dict) else [(None, None)]
        if not all(isinstance(each, str) for pair in pairs for each in pair):
            self.faults.append(f"{where}{key} must map names to texts (a number in quotes)")
            return {}
        return {name: text.strip() for name, text in pairs if name is not None and text is not None}
