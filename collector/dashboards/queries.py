"""PromQL that several panels share: what a reader selected, rates, shares, quantiles."""

from __future__ import annotations

STACK = "otelcol|prometheus|jaeger|loki|alertmanager"
NOT_STACK = f'job!~"{STACK}"'
"""Parts of the stack have a `target_info` too, and are no services."""
SERVICE = 'job=~"$job", instance=~"$instance"'
MODEL = f'{SERVICE}, ml_model_name=~"$model", ml_model_version=~"$version"'
RECORDED = 'job=~"$job", ml_model_name=~"$model", ml_model_version=~"$version"'
"""What rules record is of all instances together."""
STEP = "$__rate_interval"
BY_VERSION = "ml_model_name, ml_model_version"


def selected(metric: str, extra: str = "", scope: str = MODEL) -> str:
    """Return the series of a metric that the variables on top of the dashboard select."""
    return f"{metric}{{{scope}{', ' if extra else ''}{extra}}}"


def rate(metric: str, by: str = "", extra: str = "", scope: str = MODEL, window: str = STEP) -> str:
    """Return the summed rate per second of a counter, per value of the labels ``by``."""
    return f"sum{_by(by)}(rate({selected(metric, extra, scope)}[{window}]))"


def increase(metric: str, by: str = "", extra: str = "", scope: str = MODEL) -> str:
    """Return by how much a counter grew over the range that is shown."""
    return f"sum{_by(by)}(increase({selected(metric, extra, scope)}[$__range]))"


def share(part: str, whole: str) -> str:
    """Return part / whole: 0 while nothing of the part was ever counted, nothing while there is no traffic."""
    return f"({part} or 0 * {whole}) / ({whole} > 0)"


def quantile(q: float, histogram: str, by: str = "", extra: str = "", scope: str = MODEL) -> str:
    """Return a quantile of a histogram's classic buckets."""
    return f"histogram_quantile({q}, {rate(f'{histogram}_bucket', f'le, {by}' if by else 'le', extra, scope)})"


def mean(histogram: str, by: str = "", extra: str = "", scope: str = MODEL) -> str:
    """Return the mean of what a histogram measured."""
    count = rate(f"{histogram}_count", by, extra, scope)
    return f"{rate(f'{histogram}_sum', by, extra, scope)} / ({count} > 0)"


def heat(histogram: str, extra: str = "", scope: str = MODEL) -> str:
    """Return how many observations fell into each bucket, per step."""
    return f"sum by (le)(increase({selected(f'{histogram}_bucket', extra, scope)}[{STEP}]))"


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""
