"""Thresholds: raised once, cleared once, by enough traffic only; deviation, and its false alarms."""

import dataclasses
import math

import numpy as np
import pytest
from window_traffic import events, predict, watched

import otelml
from otelml import config, semconv
from otelml.errors import ConfigError
from otelml.testing import recording
from otelml.windows.sliding import STEPS, Window, window_of
from otelml.windows.thresholds import Judge, Rules

EMPTY = window_of("delay", "3", [])
STEP = 25.0


def window(n=100, **figures):
    """Return a window of n calls, all of whose confidence is known."""
    return dataclasses.replace(EMPTY, requests=n, confident=n, **figures)


def run(rules, windows):
    """Judge one window a step; return (step, figure, kind, reason) of every change."""
    judge = Judge(rules, "delay", STEPS)
    return [
        (step, change.figure, change.kind, change.reason)
        for step, window in enumerate(windows)
        for change in judge.judge(window, step, whole=True)
    ]


def limited(**limits):
    """Return rules of limits alone."""
    return Rules(limits)


# Limits -----------------------------------------------------------------------------------------------------------


def test_one_event_each_way():
    """A figure that goes over and stays is told once; back for a whole window it is told once."""
    windows = [window(p95=x) for x in [0.1] * 5 + [0.3] * 20 + [0.1] * 30]
    assert run(limited(p95=0.25), windows) == [(5, "p95", "limit", None), (37, "p95", "limit", "recovered")]


def test_no_flapping_at_the_threshold():
    """A figure that wavers about its limit, each step on another side, is told once and not again."""
    wavering = [window(p95=0.25 * (1 + 0.05 * (-1) ** i)) for i in range(500)]
    assert run(limited(p95=0.25), wavering) == [(0, "p95", "limit", None)]
    noise = np.random.default_rng(0).normal(0.25, 0.05, 2000)  # far beyond the hysteresis: held for a window instead
    changes = run(limited(p95=0.25), [window(p95=x) for x in noise])
    assert len(changes) <= 3


@pytest.mark.parametrize("figure", semconv.FIGURES)
def test_each_figure_has_its_worse_side(figure):
    """Throughput and confidence alarm from below, all others from above; on the other side nothing happens."""
    worse = -1 if figure in {"throughput", "confidence"} else 1
    assert run(limited(**{figure: 0.5}), [window(**{figure: 0.5 + worse * 0.01})]) == [(0, figure, "limit", None)]
    assert run(limited(**{figure: 0.5}), [window(**{figure: 0.5 - worse * 0.4})]) == []
    assert run(limited(**{figure: 0.5}), [window(**{figure: 0.5})]) == []


def test_the_hysteresis_is_a_share_of_the_limit():
    """Within 10 % of the limit it is not back; beyond it is."""
    for back, changes in ((0.226, 1), (0.224, 2)):
        windows = [window(p95=0.3)] + [window(p95=back)] * 20
        assert len(run(limited(p95=0.25), windows)) == changes
    for back, changes in ((10.9, 1), (11.1, 2)):
        windows = [window(throughput=9.0)] + [window(throughput=back)] * 20
        assert len(run(limited(throughput=10.0), windows)) == changes


def test_minimum_traffic():
    """Under 50 calls nothing is judged: nothing is raised, and what is raised stays; without any call it is cleared."""
    few, none = window(49, error_rate=1.0, p95=9.0), EMPTY
    assert run(limited(error_rate=0.1, p95=1.0), [few] * 30) == []
    bad = window(50, error_rate=1.0)
    assert run(limited(error_rate=0.1), [bad, *[window(49, error_rate=0.0)] * 30]) == [(0, "error_rate", "limit", None)]
    told = run(limited(error_rate=0.1), [bad, none, none, bad])
    assert told == [(step, "error_rate", "limit", reason) for step, reason in ((0, None), (1, "no_traffic"), (3, None))]


def test_few_rows_with_confidence():
    """Figures of confidence need that many rows whose confidence is known."""
    low = dataclasses.replace(window(1000, low_confidence=0.9, confidence=0.1), confident=10)
    assert run(limited(low_confidence=0.2, confidence=0.5), [low]) == []


def test_throughput_needs_no_traffic_but_a_whole_window():
    """A model that falls silent is under its throughput; one that has just started is not."""
    judge = Judge(limited(throughput=1.0), "delay", STEPS)
    assert judge.judge(window(5, throughput=0.2), 0, whole=False) == []
    (change,) = judge.judge(EMPTY, 1, whole=True)
    assert (change.figure, change.value, change.reason) == ("throughput", 0.0, None)
    assert judge.judge(EMPTY, 2, whole=True) == []
    assert [c.reason for c in judge.end()] == ["no_traffic"]


def test_limits_of_one_model():
    """A model's own limit goes before that of all models."""
    rules = limited(**{"p95": 1.0, "delay:p95": 0.1})
    assert (rules.limit("delay", "p95"), rules.limit("other", "p95"), rules.limit("delay", "p50")) == (0.1, 1.0, None)


# The baseline -----------------------------------------------------------------------------------------------------


def steps(values, figure="p95", n=100):
    """Return a window for each step; values are those of whole windows."""
    return [window(n, **{figure: float(x)}) for x in values for _ in range(STEPS)]


def test_the_formula():
    """Centre and scale are numpy's median and 1.4826 MAD, over the windows that were kept: one for each length."""
    values = np.random.default_rng(1).lognormal(-2, 0.2, 24)
    last = 9.0  # it may overlap with what is judged
    judge = Judge(Rules({}, 5.0), "delay", STEPS)
    for step, each in enumerate(steps([*values, last])):
        judge.judge(each, step, whole=True)
    centre, scale = judge.baseline("p95", window(100, p95=0.1))
    assert centre == pytest.approx(np.median(values))
    mad = np.median(np.abs(values - np.median(values)))
    assert scale == pytest.approx(1.4826 * mad)
    assert judge.baseline("p95", window(25, p95=0.1))[1] == pytest.approx(2 * scale)  # a quarter of the calls


def test_scale_of_constant_figures():
    """Figures that never change have a scale: 2 % of the median, and for shares the sampling error."""
    judge = Judge(Rules({}, 5.0), "delay", STEPS)
    for step, each in enumerate(steps([0.0] * 14, "error_rate")):
        judge.judge(dataclasses.replace(each, p95=0.1, throughput=2.0), step, whole=True)
    p = 1 / 1302
    assert judge.baseline("error_rate", window(100))[1] == pytest.approx(math.sqrt(p * (1 - p) / 100))
    assert judge.baseline("p95", window(100)) == pytest.approx((0.1, 0.002))
    assert judge.baseline("throughput", window(1)) == pytest.approx((2.0, 0.04))


def test_too_few_windows_to_compare():
    """With fewer than twelve earlier windows nothing deviates."""
    assert run(Rules({}, 5.0), steps([0.1] * 11 + [9.0] * 2)) == []
    assert run(Rules({}, 5.0), steps([0.1] * 12 + [9.0] * 2))[0] == (13 * STEPS + 1, "p95", "baseline", None)


def test_one_odd_window_is_no_deviation():
    """What lasts for less than a window's length more than the window itself is not told; what lasts is, once."""
    assert run(Rules({}, 5.0), steps([0.1] * 20 + [9.0] + [0.1] * 5)) == []
    assert len(run(Rules({}, 5.0), steps([0.1] * 20 + [9.0] * 5))) == 1


def test_a_lasting_change_becomes_the_baseline():
    """A step up is told once, and cleared when half of the earlier windows are like it."""
    noise = np.random.default_rng(2).normal(1, 0.02, 120)
    values = np.where(np.arange(120) < 40, 0.1, 0.2) * noise
    changes = run(Rules({}, 5.0), steps(values))
    assert [(figure, kind, reason) for _, figure, kind, reason in changes] == [
        ("p95", "baseline", None),
        ("p95", "baseline", "recovered"),
    ]
    assert changes[0][0] == 41 * STEPS
    assert 50 * STEPS < changes[1][0] < 56 * STEPS


@pytest.mark.parametrize(("figure", "better"), [("p95", 0.01), ("throughput", 100.0), ("error_rate", 0.0)])
def test_better_is_no_alarm(figure, better):
    """A change for the better is not told."""
    assert run(Rules({}, 5.0), steps([0.1] * 30 + [better] * 5, figure)) == []


def test_limit_and_baseline_are_apart():
    """Both kinds may be exceeded at once, and are told each."""
    changes = run(Rules({"p95": 0.5}, 5.0), steps([0.1] * 14 + [0.9] * 2))
    assert {(figure, kind) for _, figure, kind, _ in changes} == {("p95", "limit"), ("p95", "baseline")}


# With everything around ------------------------------------------------------------------------------------------


@pytest.mark.telemetry(window_thresholds="p95=0.25,error_rate=0.1,low_confidence=0.2")
def test_events_and_metric(telemetry):
    """Slow calls over a limit give one event with all facts, and a gauge of 1 until they are back."""
    _, clock = watched(telemetry)
    predict([0.1] * 60, classes="late", confidence=0.9)
    telemetry.drain()
    assert {p.value for p in telemetry.points("ml.threshold.active")} == {0}
    clock.now += STEP
    predict([1.0] * 60, classes="late", confidence=0.9)
    telemetry.drain()
    (log,) = [log for log in telemetry.logs() if log.event.startswith("ml.threshold")]
    assert (log.event, log.severity) == ("ml.threshold.exceeded", "WARN")
    assert log.body == f"delay: p95 is {otelml.window('delay').p95:.4g}, over 0.25"
    assert log.attributes == {
        "ml.model.name": "delay",
        "ml.model.version": "3",
        "ml.window.figure": "p95",
        "ml.threshold.kind": "limit",
        "ml.window.value": otelml.window("delay").p95,
        "ml.threshold.value": 0.25,
        "ml.window.duration": 25.0,
        "ml.window.requests": 120,
    }
    assert (log.trace_id, log.span_id) == (0, 0)
    active = {p.attributes["ml.window.figure"]: p.value for p in telemetry.points("ml.threshold.active")}
    assert active == {"p95": 1, "error_rate": 0, "low_confidence": 0}
    for _ in range(30):
        clock.now += STEP
        predict([0.1] * 60, classes="late", confidence=0.9)
        telemetry.drain()
    assert events(telemetry) == [("exceeded", "p95"), ("cleared", "p95")]
    assert telemetry.logs()[-1].event == "ml.prediction"
    assert {p.value for p in telemetry.points("ml.threshold.active")} == {0}


@pytest.mark.telemetry(window_thresholds="error_rate=0.1")
def test_judged_once_a_step(telemetry):
    """However often the recorder turns, a window is judged once in a twelfth of its length."""
    _, clock = watched(telemetry)
    predict([0.1], failed=True)
    telemetry.drain()
    predict([0.1] * 60, failed=True)
    for _ in range(5):
        telemetry.drain()
    assert events(telemetry) == []
    clock.now += STEP
    assert events(telemetry) == [("exceeded", "error_rate")]
    clock.now += 400
    assert events(telemetry) == [("exceeded", "error_rate"), ("cleared", "error_rate")]


@pytest.mark.telemetry(window_thresholds="throughput=1")
def test_a_silent_model_is_told_and_then_forgotten(telemetry):
    """A model without calls is under its throughput; after 24 windows' length it is cleared and takes no room."""
    windows, clock = watched(telemetry)
    for _ in range(13):
        predict([0.1] * 60)
        telemetry.drain()
        clock.now += STEP
    assert events(telemetry) == []
    for _ in range(24 * STEPS + 1):
        clock.now += STEP
        telemetry.drain()
    assert events(telemetry) == [("exceeded", "throughput"), ("cleared", "throughput")]
    assert windows._known == {}
    assert telemetry.points("ml.threshold.active") == []


def test_nothing_is_judged_by_default(telemetry):
    """Without thresholds there is no event, however bad it is."""
    _, clock = watched(telemetry)
    for _ in range(30):
        predict([100.0] * 60, failed=True)
        telemetry.drain()
        clock.now += STEP
    assert events(telemetry) == []
    assert telemetry.points("ml.threshold.active") == []


def test_real_predictions_deviate():
    """Through the recorder: 19 windows alike, then calls half as fast: durations are told, nothing else."""
    random = np.random.default_rng(4)
    with recording(window_deviation=5, window=60) as seen:
        _, clock = watched(seen)
        for i in range(STEPS * 23):
            predict(random.lognormal(-3, 0.5, 20) * (2 if i > STEPS * 20 else 1), classes="late", confidence=0.9)
            seen.drain()
            clock.now += 5
        told = events(seen)
    assert sorted(told) == [("exceeded", figure) for figure in ("mean", "p50", "p95", "p99")]


def traffic(n, scatter, windows, seed, slower=1.0):
    """Yield the window of each step: n calls in a window's length, lognormal, 1 % of which fail, with confidences.

    Calls depend on one another: durations have a level of their own, which wanders by ``scatter``. In the last tenth
    they take ``slower`` times as long.
    """
    random, ring, level = np.random.default_rng(seed), [], 0.0
    for step in range(windows * STEPS):
        level = 0.9 * level + scatter * math.sqrt(1 - 0.81) * random.normal()
        calls = random.poisson(n / STEPS)
        pace = math.exp(level) * (slower if step >= 0.9 * windows * STEPS else 1.0)
        ring.append((random.lognormal(-3, 0.7, calls) * pace, random.random(calls) < 0.01, random.beta(8, 2, calls)))
        ring = ring[-STEPS:]
        seconds, failed, sure = (np.concatenate(column) for column in zip(*ring, strict=True))
        m, known = seconds.size, np.sort(seconds)
        p50, p95, p99 = (float(known[int(share * (m - 1))]) for share in (0.5, 0.95, 0.99))
        shares = (float(failed.mean()), float(seconds.mean()), p50, p95, p99)
        yield Window("delay", "3", 300, m, 0, m, m / 300, *shares, m, float(sure.mean()), float((sure < 0.6).mean()))


def told(n, scatter, windows, seed, **how):
    """Return what was told to deviate by 5, as (step, figure)."""
    judge = Judge(Rules({}, 5.0), "delay", STEPS)
    return [
        (step, change.figure)
        for step, each in enumerate(traffic(n, scatter, windows, seed, **how))
        for change in judge.judge(each, step, whole=step >= STEPS)
        if change.reason is None
    ]


@pytest.mark.parametrize("n", [60, 600, 3000])
@pytest.mark.parametrize("scatter", [0.0, 0.2])
def test_false_alarms(n, scatter):
    """On unchanged traffic, 400 windows' lengths of it, at most 1 % of them tell anything, in any of eight figures."""
    assert sum(len(told(n, scatter, 80, seed)) for seed in range(5)) <= 4


@pytest.mark.parametrize(("n", "slower"), [(600, 2.0), (3000, 1.5)])
def test_changes_are_found(n, slower):
    """Calls that take half as long again, or twice as long, are told in each of ten runs, two windows on at most."""
    for seed in range(10):
        found = [step for step, figure in told(n, 0.0, 40, seed, slower=slower) if step >= 36 * STEPS]
        assert found, seed
        assert min(found) <= 38 * STEPS


# Settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["p96=1", "p95", "p95=", "p95=-1", "p95=fast", "delay:=1", "p95=nan", ",,x", "p95=1,p50"]
)
def test_faulty_thresholds(text):
    """A limit of no figure, or that is no number, is a fault of the settings; so is half of a list."""
    with pytest.raises(ConfigError, match="OTELML_WINDOW_THRESHOLDS"):
        config.load({}, {"OTELML_WINDOW_THRESHOLDS": text})


def test_thresholds_from_text_and_from_yaml():
    """Both ways give the same limits; a model's name may hold signs of its own."""
    text = config.load({}, {"OTELML_WINDOW_THRESHOLDS": "p95=0.25, team:a=b:throughput=3"}).window_thresholds
    mapping = config.load({"window_thresholds": {"p95": 0.25, "team:a=b:throughput": 3}}, {}).window_thresholds
    assert text == mapping == {"p95": 0.25, "team:a=b:throughput": 3.0}
