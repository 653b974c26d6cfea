"""Rows about inputs and predictions beside their reference: what has moved, how far, and since when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders.dashboard import Row

from . import panels as p
from . import queries as q
from . import variables

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders.dashboard import Dashboard

ROWS, VIOLATIONS, BIN = "ml_feature_rows_total", "ml_feature_violations_total", "ml_feature_bin"
BY_FEATURE = f"{q.BY_VERSION}, ml_feature_name"
FEATURE = 'ml_feature_name=~"$feature"'
LEGEND = "{{ml_feature_name}} ({{ml_model_name}} {{ml_model_version}})"
MOST = 20
"""Features in the table, of those that moved most."""
SHOWN = 8
"""Features in a chart; more lines can't be told apart."""
CHOICE = variables.labels(
    "feature", "Feature", 'label_values(ml_feature_reference{job=~"$job", ml_model_name=~"$model"}, ml_feature_name)'
)


def add(board: Dashboard) -> None:
    """Add the rows."""
    board.with_row(Row("Have its inputs moved?"))
    for panel in (*_figures(), *_moved(), _bins(), *_faults()):
        board.with_panel(panel)


def recorded(name: str, extra: str = "") -> str:
    """Return a recorded series of features: of the last hour, and of all processes together."""
    return q.selected(f"feature:ml_feature_observations:{name}", extra, q.RECORDED)


def _beyond_bias() -> str:
    return f"{recorded('psi1h')} - {recorded('psi_bias1h')}"


def _figures() -> tuple[p.Panel, ...]:
    raised = f"max by ({BY_FEATURE}) ({q.selected('ml_drift_detected')})"
    violated = q.share(q.rate(VIOLATIONS), q.rate(ROWS))
    return (
        p.figure(
            "Features drifted",
            "Features, the prediction too, whose alarm is raised in a process: three windows in a row with drift.",
            "short",
            p.metric(f"sum({raised})"),
            steps=p.low_is_good(1, 3),
            width=p.QUARTER,
        ),
        p.figure(
            "Furthest moved",
            "Largest population stability index of a feature in the last hour, less what sampling alone makes of it. "
            "By custom 0.1 is worth a look and 0.25 is a lot.",
            "short",
            p.metric(f"max({_beyond_bias()})"),
            steps=p.low_is_good(0.1, 0.25),
            width=p.QUARTER,
        ),
        p.figure("Rows seen", "Rows of inputs per second.", "short", p.metric(q.rate(ROWS)), width=p.QUARTER),
        p.figure(
            "Violations per row",
            "Values that the reference does not allow, per row: missing or extra columns, another type, out of range, "
            "a new category.",
            "short",
            p.metric(violated),
            width=p.QUARTER,
        ),
    )


def _moved() -> tuple[p.Panel, ...]:
    columns = {
        "ml_model_name": ("Model", "string"),
        "ml_model_version": ("Version", "string"),
        "ml_feature_name": ("Feature", "string"),
        "Value #A": ("PSI less bias", "short"),
        "Value #B": ("Deviations", "short"),
        "Value #C": ("KS", "short"),
        "Value #D": ("JS", "short"),
        "Value #E": ("Missing", "percentunit"),
        "Value #F": ("Values", "short"),
    }
    missing = q.selected("feature_bin:ml_feature_observations:share1h", 'ml_feature_bin="missing"', q.RECORDED)
    asked = (
        _beyond_bias(),
        recorded("psi_deviations1h"),
        recorded("ks1h"),
        recorded("js1h"),
        f"sum by ({BY_FEATURE}) ({missing})",
        recorded("increase1h"),
    )
    least = f"topk({MOST}, {_beyond_bias()})"
    kept = (f"max by ({BY_FEATURE}) ({one}) and on ({BY_FEATURE}) {least}" for one in asked)
    return (
        p.graph(
            "Drift by feature",
            "Population stability index of the last hour over all processes, less its sampling bias: around 0 without "
            f"drift. The {SHOWN} that moved most.",
            "short",
            p.metric(f"topk({SHOWN}, {_beyond_bias()})", LEGEND),
            width=p.FULL,
        ).min(None),
        p.rows(
            "Which features moved most",
            f"The last hour beside the reference, the {MOST} that moved most. Deviations over 4 are no chance; PSI, KS "
            "and JS say how far; KS is of numbers only.",
            columns,
            *(p.metric(one, now=True, form="table") for one in kept),
        ),
    )


def _bins() -> p.Panel:
    by = f"{BY_FEATURE}, {BIN}"
    columns = {
        "ml_feature_name": ("Feature", "string"),
        "ml_model_version": ("Version", "string"),
        BIN: ("Bin", "string"),
        "Value #A": ("Last hour", "percentunit"),
        "Value #B": ("Reference", "percentunit"),
    }
    names = ("feature_bin:ml_feature_observations:share1h", "feature_bin:ml_feature_reference:share")
    asked = (f"sum by ({by}) ({q.selected(name, FEATURE, q.RECORDED)})" for name in names)
    about = "Share of each bin of the features chosen above, now and in the reference."
    table = p.rows("Bins, now and as a rule", about, columns, *(p.metric(a, now=True, form="table") for a in asked))
    return p.bars(table, "Last hour", "Reference")


def _faults() -> tuple[p.Panel, ...]:
    by_kind = q.rate(VIOLATIONS, "ml_feature_name, ml_violation")
    events = '{service_name=~"$service"} | ml_model_name=~"$model" | ml_drift_raised=~".+"'
    return (
        p.graph(
            "Violations by feature",
            "Values per second that the reference does not allow; without a feature's name the number of columns is "
            "wrong.",
            "short",
            p.metric(f"topk({SHOWN}, {by_kind} > 0)", "{{ml_feature_name}} {{ml_violation}}"),
        ),
        p.records("Drift alarms", "Each alarm of a process, raised or cleared.", events, width=p.HALF),
    )
