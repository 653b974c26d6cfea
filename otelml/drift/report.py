"""What a comparison found: numbers for each feature, a verdict, a table, a plot."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from otelml.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADS = ("FEATURE", "N", "PSI", "LESS BIAS", "JS", "KS", "P", "Q", "MISSING", "DRIFT")
MOST_PLOTTED = 40
_KEPT_APART = {"labels", "shares", "shares_before"}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a feature must pass to be called drifted; `otelml.drift.compare` says how."""

    alpha: float
    effect: float
    missing: float
    minimum_rows: int


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """How far one feature is from its reference.

    Attributes:
        name: Of the feature.
        kind: ``"number"`` or ``"category"``.
        n: Rows compared, those without a value as well.
        psi: Population stability index over all bins, the missing value one of them; from 0, no unit.
        psi_bias: What ``psi`` is on average when nothing has changed.
        js: Jensen-Shannon distance over the same bins, 0 to 1.
        ks: Kolmogorov-Smirnov statistic over the bins of values, 0 to 1; None for categories.
        p_value: Of all tests of this feature together.
        q_value: ``p_value`` after Holm's correction for the number of features.
        test: The test that found most: rank, spread, shape, ks, range, other or missing.
        p_values: Of each test alone, before any correction: ``ks``, ``shape`` (chi-square) and the others.
        missing: Share of rows without a value, 0 to 1.
        missing_change: The same less that of the reference.
        drifted: Whether it passes all thresholds.
        labels: Names of the bins.
        shares_before: Share of each bin in the reference.
        shares: Share of each bin now.
    """

    name: str
    kind: str
    n: int
    psi: float
    psi_bias: float
    js: float
    ks: float | None
    p_value: float
    q_value: float
    test: str
    p_values: dict[str, float]
    missing: float
    missing_change: float
    drifted: bool
    labels: tuple[str, ...]
    shares_before: tuple[float, ...]
    shares: tuple[float, ...]

    def cells(self) -> tuple[str, ...]:
        """Return the row of the printed table."""
        figures = (f"{self.psi:.4f}", f"{self.psi - self.psi_bias:.4f}", f"{self.js:.3f}")
        ks = "-" if self.ks is None else f"{self.ks:.3f}"
        tests = (f"{self.p_value:.2g}", f"{self.q_value:.2g}", f"{self.missing:.1%} ({self.missing_change:+.1%})")
        return (self.name, str(self.n), *figures, ks, *tests, f"yes: {self.test}" if self.drifted else "no")


@dataclass(frozen=True, slots=True)
class DriftReport:
    """The features of one comparison, in the order of the reference; printed, a table, the largest effects first.

    Attributes:
        features: One for each feature of the reference.
        rows: Rows compared.
        reference_rows: Rows of the reference.
        thresholds: What was asked for.
        unknown: Columns of the data that the reference doesn't have: they were not compared.
    """

    features: tuple[FeatureDrift, ...]
    rows: int
    reference_rows: int
    thresholds: Thresholds
    unknown: tuple[str, ...] = ()

    @property
    def enough(self) -> bool:
        """Whether there are rows enough, in both, to say anything."""
        return min(self.rows, self.reference_rows) >= self.thresholds.minimum_rows

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the features that have drifted: empty and false when none has."""
        return tuple(feature.name for feature in self.features if feature.drifted)

    @property
    def verdict(self) -> str:
        """The whole in one line."""
        if not self.enough:
            least = min(self.rows, self.reference_rows)
            return f"too few rows to tell: {least}, at least {self.thresholds.minimum_rows} are needed"
        found = self.drifted
        names = f": {', '.join(found)}" if found else ""
        return f"{len(found) or 'none'} of {len(self.features)} features drifted{names}"

    def __getitem__(self, name: str) -> FeatureDrift:
        """Return a feature by its name. KeyError: there is none."""
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    def ranked(self) -> list[FeatureDrift]:
        """Return the features: those that drifted first, then by effect."""
        return sorted(self.features, key=lambda f: (not f.drifted, f.psi_bias - f.psi))

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values, ready for JSON; shares by the label of their bin."""
        return {
            "verdict": self.verdict,
            "drifted": list(self.drifted),
            "enough": self.enough,
            "rows": self.rows,
            "reference_rows": self.reference_rows,
            "thresholds": asdict(self.thresholds),
            "unknown": list(self.unknown),
            "features": [_plain(feature) for feature in self.features],
        }

    def __str__(self) -> str:
        table = [HEADS, *(feature.cells() for feature in self.ranked())]
        widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
        lines = [_line(cells, widths) for cells in table]
        ignored = [f"not in the reference, not compared: {', '.join(self.unknown)}"] if self.unknown else []
        return "\n".join([*lines, "", *ignored, self.verdict])

    def plot(self) -> Figure:
        """Return a figure: PSI less its bias, by feature, those that drifted in colour; the 40 largest.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise MissingExtraError("DriftReport.plot", "plot") from error
        shown = self.ranked()[:MOST_PLOTTED][::-1]
        figure = Figure(figsize=(7, 1 + 0.3 * len(shown)), layout="constrained")
        axes = figure.add_subplot()
        colours = ["tab:red" if feature.drifted else "tab:gray" for feature in shown]
        axes.barh([f.name for f in shown], [max(0.0, f.psi - f.psi_bias) for f in shown], color=colours)
        axes.axvline(self.thresholds.effect, color="black", linestyle=":", linewidth=1)
        axes.set_xlabel("PSI less its sampling bias")
        axes.set_title(f"{len(self.drifted)} of {len(self.features)} features drifted")
        return figure


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    figures = (cell.rjust(width) for cell, width in zip(cells[1:-1], widths[1:-1], strict=True))
    return "  ".join([cells[0].ljust(widths[0]), *figures, cells[-1]])


def _plain(feature: FeatureDrift) -> dict[str, Any]:
    plain = {key: value for key, value in asdict(feature).items() if key not in _KEPT_APART}
    bins = zip(feature.labels, feature.shares_before, feature.shares, strict=True)
    return {**plain, "bins": {label: {"before": before, "now": now} for label, before, now in bins}}
