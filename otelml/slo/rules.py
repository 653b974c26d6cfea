"""Makes the rules of an objective: error ratios by window, error budget and what is left of it, burn-rate alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from otelml.slo.specification import BURNS, VERSION, WINDOW_VARIABLE, Burn, Objective

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

WINDOWS = {"5m": 300, "30m": 1800, "1h": 3600, "2h": 7200, "6h": 21_600, "1d": 86_400, "3d": 259_200}
"""Windows of the alerts, in seconds."""
PERIOD, PERIOD_DAYS = "30d", 30
MINIMUM_ERRORS = 5.0
"""Bad events in the longer window below which an alert says nothing: one failure of two requests is no trend."""

Rule = dict[str, Any]


def groups(objective: Objective, minimum_errors: float = MINIMUM_ERRORS) -> list[dict[str, Any]]:
    """Return the rule groups of one objective, as they stand in a rules file."""
    name = objective.identity["sloth_id"]
    made = {
        f"sloth-slo-sli-recordings-{name}": _indicators(objective),
        f"sloth-slo-meta-recordings-{name}": _facts(objective),
        f"sloth-slo-alerts-{name}": [_alert(objective, kind, minimum_errors) for kind in objective.alerts],
    }
    return [{"name": name, "rules": rules} for name, rules in made.items() if rules]


def _indicators(slo: Objective) -> list[Rule]:
    """Return the error ratio of every window, and the events behind it."""
    rules = [_record(f"slo:sli_error:ratio_rate{w}", _ratio(slo, w), slo, sloth_window=w) for w in WINDOWS]
    five, own = "5m", _selector(slo)
    if slo.ratio:
        mean = f"avg_over_time(slo:sli_error:ratio_rate5m{own}[{PERIOD}])"
        return [*rules, _record(f"slo:sli_error:ratio_rate{PERIOD}", mean, slo, sloth_window=PERIOD)]
    longs = [burn.long for kind in slo.alerts for burn in BURNS[kind]]
    rules += [_record(f"slo:sli_error:increase{w}", _count(slo, w), slo, sloth_window=w) for w in longs]
    rules.append(_record("slo:sli_error:rate5m", _errors(slo, five), slo, sloth_window=five))
    rules.append(_record("slo:sli_total:rate5m", _for_window(slo.total, five), slo, sloth_window=five))
    weighted = (
        f"sum_over_time(slo:sli_error:rate5m{own}[{PERIOD}])\n/\n"
        f"(sum_over_time(slo:sli_total:rate5m{own}[{PERIOD}]) > 0)"
    )
    return [*rules, _record(f"slo:sli_error:ratio_rate{PERIOD}", weighted, slo, sloth_window=PERIOD)]


def _ratio(slo: Objective, window: str) -> str:
    if slo.ratio:
        return _for_window(slo.ratio, window)
    return f"(\n{_indented(_errors(slo, window))}\n)\n/\n({_bracketed(slo.total, window)} > 0)"


def _errors(slo: Objective, window: str) -> str:
    """Return the bad events; without any, their series does not exist yet: 0 wherever there are events at all."""
    return f"{_bracketed(slo.error, window)}\nor\n0 * {_bracketed(slo.total, window)}"


def _count(slo: Objective, window: str) -> str:
    """Return how many bad events there were; a query by `rate` gives them per second."""
    seconds = "" if "increase(" in slo.error else f" * {WINDOWS[window]}"
    return _bracketed(slo.error, window) + seconds


def _bracketed(query: str, window: str) -> str:
    """Return a query in brackets, the closing one where a comment at its end does not swallow it."""
    end = "\n)" if "#" in query.splitlines()[-1] else ")"
    return f"({_for_window(query, window)}{end}"


def _for_window(query: str, window: str) -> str:
    return WINDOW_VARIABLE.sub(window, query)


def _facts(slo: Objective) -> list[Rule]:
    """Return the objective itself, and how much of its error budget is used and left."""
    own, matching = _selector(slo), "/ on(sloth_id, sloth_slo, sloth_service) group_left"
    budget = f"slo:error_budget:ratio{own}"
    info = {"sloth_mode": "otelml", "sloth_spec": VERSION, "sloth_objective": slo.percent}
    return [
        _record("slo:objective:ratio", f"vector({slo.target:f})", slo),
        _record("slo:error_budget:ratio", f"vector({slo.budget:f})", slo),
        _record("slo:time_period:days", f"vector({PERIOD_DAYS})", slo),
        _record("slo:current_burn_rate:ratio", f"slo:sli_error:ratio_rate5m{own}\n{matching}\n{budget}", slo),
        _record("slo:period_burn_rate:ratio", f"slo:sli_error:ratio_rate{PERIOD}{own}\n{matching}\n{budget}", slo),
        _record("slo:period_error_budget_remaining:ratio", f"1 - slo:period_burn_rate:ratio{own}", slo),
        _record("sloth_slo_info", "vector(1)", slo, **info),
    ]


def _alert(slo: Objective, kind: str, minimum_errors: float) -> Rule:
    alert = slo.alerts[kind]
    what = "{{ $labels.sloth_service }} {{ $labels.sloth_slo }}"
    standard = {
        "title": f"({kind}) {what}: the error budget burns too fast",
        "summary": f"{what}: the error budget burns too fast",
        "description": slo.description or f"{what} misses its objective of {slo.percent} %.",
    }
    return {
        "alert": alert.name,
        "expr": "\nor\n".join(_burning(slo, burn, minimum_errors) for burn in BURNS[kind]),
        "labels": _sorted({"severity": kind, "sloth_severity": kind, **alert.labels}),
        "annotations": _sorted({**standard, **alert.annotations}),
    }


def _burning(slo: Objective, burn: Burn, minimum_errors: float) -> str:
    own, limit = _selector(slo), f"{burn.factor} * {slo.budget:f}"
    terms = [f"slo:sli_error:ratio_rate{window}{own} > ({limit})" for window in (burn.short, burn.long)]
    if not slo.ratio:
        terms.append(f"slo:sli_error:increase{burn.long}{own} >= {minimum_errors:g}")
    both = "\nand\n".join(f"max({term}) without (sloth_window)" for term in terms)
    return f"(\n{_indented(both)}\n)"


def _record(name: str, expression: str, slo: Objective, **labels: str) -> Rule:
    return {"record": name, "expr": expression, "labels": _sorted({**slo.labels, **slo.identity, **labels})}


def _selector(slo: Objective) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in slo.identity.items()) + "}"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _sorted(texts: Mapping[str, str]) -> dict[str, str]:
    return dict(sorted(texts.items()))


_HEAD = "# Made by `otelml slo generate` from a specification of objectives: edit that file, not this one.\n"


class _Dumper(yaml.SafeDumper):
    """Writes expressions of several lines as they are read."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def render(objectives: Iterable[Objective], minimum_errors: float = MINIMUM_ERRORS) -> str:
    """Return a Prometheus rules file for these objectives."""
    content = {"groups": [group for each in objectives for group in groups(each, minimum_errors)]}
    return _HEAD + yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
