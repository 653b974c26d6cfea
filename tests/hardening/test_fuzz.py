"""Nothing that comes from outside raises, hangs or changes the host: calls, headers, settings, files, commands."""

from functools import partial

import call_targets
import file_targets  # noqa: F401 - it registers its targets
import fuzzing
import hypothesis
import pytest
import wire_targets  # noqa: F401 - the same

import otelml

EXAMPLES = 40
"""Of each target; ``scripts/fuzz`` makes as many as there is time for."""


@pytest.mark.parametrize("name", sorted(fuzzing.TARGETS))
def test_nothing_gets_out(name):
    """Generated input raises nothing, takes no time, and leaves the host as it was. Examples are always the same."""
    prepare, function = fuzzing.TARGETS[name]
    with fuzzing.unchanged("threads", "streams"), prepare() as ready:
        fuzzing.example(function, ready, max_examples=EXAMPLES, derandomize=True, phases=PHASES)()


PHASES = [phase for phase in hypothesis.Phase if phase is not hypothesis.Phase.shrink]


CALLS = {
    **{f"result({name}=)": partial(lambda name, p, v: p.result(**{name: v}), name) for name in call_targets.RESULTS},
    **{f"observe({name}=)": partial(lambda name, p, v: p.observe(**{name: v}), name) for name in call_targets.RESULTS},
    **{
        f"prediction({name}=)": partial(lambda name, _, v: otelml.prediction("m", **{name: v}).__enter__(), name)
        for name in ("version", "request_id", "prediction_id", "members", "variant", "operation", "framework")
    },
    "prediction()": lambda _, v: otelml.prediction(v).begin().finish(),
    "result(business_value=)": lambda p, v: p.result(business_value=v, business_value_unit=v),
    "stage()": lambda p, v: p.stage(v).begin().finish(),
    "slice()": lambda p, v: p.slice(carrier=v),
    "event()": lambda _, v: otelml.event(v, v, v, a=v, b=[v], c={"x": v}),
    "record_outcome()": lambda _, v: otelml.record_outcome(v, v, at=v),
    "record_outcome(actual)": lambda _, v: otelml.record_outcome("a", v),
    "record_outcome(at=)": lambda _, v: otelml.record_outcome("a", "b", at=v),
    "window()": lambda _, v: otelml.window(v, v),
    "watch()": lambda _, v: otelml.unwatch(otelml.watch(v, v, v, device=v, artifact=v)),
    "watch_drift()": lambda _, v: otelml.watch_drift(v, v),
    "on_alert()": lambda _, v: otelml.on_alert(v)(),
    "log of a value": lambda _, v: call_targets.hand_over(v, None, {"x": v}),
    "log with a value": lambda _, v: call_targets.hand_over("%s %r", (v, v), {}, call_targets.Theirs(v)),
}


@pytest.mark.parametrize("capture", ["stats", "payload"])
@pytest.mark.parametrize("call", CALLS)
def test_every_odd_value(call, capture):
    """Each odd value, given to each parameter, raises nothing, takes no time, and what was made can be exported."""
    with call_targets.logging_bridged(capture=capture) as ready:
        for name in fuzzing.odd_names():
            model = "features" if "inputs" in call else "m"
            with otelml.prediction(model) as p:
                fuzzing.timed(CALLS[call], p, fuzzing.odd(name))
        ready.check()


@pytest.mark.parametrize("name", fuzzing.odd_names())
def test_what_a_function_returns_is_its_own(name):
    """A tracked function gives back the very object, whatever it is, and was given the very one as well."""
    value = fuzzing.odd(name)
    with call_targets.recorded() as ready:
        assert otelml.track_prediction(lambda given: given)(value) is value
        ready.check()


def test_every_public_name_has_a_target():
    """A new name of the package without a fuzz test fails here."""
    assert set(call_targets.ENTRIES) == set(otelml.__all__)
    assert {name for name in call_targets.ENTRIES.values() if name} <= set(fuzzing.TARGETS)
