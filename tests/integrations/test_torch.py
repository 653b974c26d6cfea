"""PyTorch: the application's calls in eval mode count once, and neither models nor compilers notice."""

import copy
import gc
import inspect
import io
import pickle
import subprocess
import sys
import threading
import weakref

import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation

import otelml
from otelml.testing import recording

torch = pytest.importorskip("torch", reason="PyTorch is not installed; scripts/test-integrations torch")
nn = torch.nn
torch.set_num_threads(1)
ROWS = 5


class Net(nn.Module):
    """Some layers, and what is said at the end."""

    def __init__(self, end=None, outputs=3):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, outputs))
        self.end = nn.Identity() if end is None else end

    def forward(self, x):
        """Run the layers."""
        return self.end(self.layers(x))

    def encode(self, x):
        """Call one part after the other, as methods beside ``forward`` do."""
        return [layer(x) for layer in self.layers[:1]], self.layers(x)


def net(end=None, outputs=3):
    """Return a network that serves, the same each time."""
    torch.manual_seed(1)
    return Net(end, outputs).eval()


def data(rows=ROWS):
    """Return inputs, the same each time."""
    return torch.randn(rows, 4, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def telemetry():
    """Measure PyTorch into memory."""
    with recording(integrations=["torch"]) as seen:
        yield seen


def root(telemetry):
    """Return the only prediction."""
    (found,) = [span for span in telemetry.spans() if span.name.startswith("predict ")]
    return found


# What is said -------------------------------------------------------------------------------------------------------


def test_one_call_is_one_prediction(telemetry):
    """A call is one request with one stage, under the name of the module's class, with shapes, types and rows."""
    net()(data())
    span = root(telemetry)
    assert span.name == "predict Net"
    assert span.attributes["ml.model.framework"] == "pytorch"
    assert span.attributes["ml.operation"] == "forward"
    assert span.attributes["ml.input.shape"] == (ROWS, 4)
    assert span.attributes["ml.input.dtype"] == "float32"
    assert span.attributes["ml.output.shape"] == (ROWS, 3)
    assert [each.name for each in telemetry.spans() if each.parent_id == span.span_id] == ["inference"]
    assert (telemetry.total("ml.requests"), telemetry.total("ml.predictions")) == (1, ROWS)


@pytest.mark.parametrize("rows", [1, ROWS])
@pytest.mark.parametrize("end", [nn.Softmax(1), nn.LogSoftmax(1)])
def test_probabilities_are_classes_and_confidences(telemetry, end, rows):
    """Rows that sum to one say class and confidence; so do their logarithms where that is the last layer."""
    with torch.no_grad():
        answer = net(end)(data(rows))
    shares = answer.exp() if isinstance(end, nn.LogSoftmax) else answer
    classes = {point.attributes["ml.prediction.class"]: point.value for point in telemetry.points("ml.predictions")}
    best = [str(each) for each in shares.argmax(1).tolist()]
    assert classes == {each: best.count(each) for each in best}
    assert sum(point.count for point in telemetry.points("ml.prediction.confidence")) == rows
    assert sum(point.sum for point in telemetry.points("ml.prediction.confidence")) == pytest.approx(
        shares.max(1).values.sum().item(), rel=1e-5
    )


def test_a_sigmoid_is_the_probability_of_the_second_class(telemetry):
    """One number a row from a sigmoid at the end is a probability."""
    answer = net(nn.Sigmoid(), 1)(data(1)).item()
    attributes = root(telemetry).attributes
    assert attributes["ml.prediction.class"] == str(int(answer > 0.5))
    assert attributes["ml.prediction.confidence"] == pytest.approx(max(answer, 1 - answer))


def test_logits_are_no_confidence(telemetry):
    """Of logits, and of anything else that does not sum to one, the shape is told and nothing more."""
    net()(data())
    net(nn.Sigmoid())(data())
    net()(data(1))
    assert telemetry.points("ml.prediction.confidence") == []
    assert telemetry.total("ml.predictions") == 2 * ROWS + 1
    assert all("ml.prediction.class" not in span.attributes for span in telemetry.spans())


def test_a_number_a_row_is_a_value(telemetry):
    """A regression's answer is its value."""
    answer = net(outputs=1)(data(1)).item()
    assert root(telemetry).attributes["ml.prediction.value"] == pytest.approx(answer)


class Named(dict):
    """A result with names, as libraries have them."""


@pytest.mark.parametrize(
    ("make", "rows"),
    [
        (lambda y: (y, y[:1]), ROWS),
        (lambda y: {"loss": y.sum(), "logits": y}, ROWS),
        (lambda y: Named(scores=y), ROWS),
        (lambda y: [y], ROWS),
        (lambda y: y.sum(), ROWS),
        (lambda _: None, ROWS),
        (lambda y: y.to_sparse(), ROWS),
        (lambda y: y.to("meta"), ROWS),
        (lambda y: y.to(torch.bfloat16), ROWS),
        (lambda y: y.to(torch.complex64), ROWS),
        (lambda y: y.argmax(1), ROWS),
        (lambda y: torch.nested.nested_tensor([y, y]), ROWS),
    ],
)
def test_rows_of_any_result(telemetry, make, rows):
    """Rows are the first axis of the first tensor, else of the input; any result comes back untouched."""

    class Ends(nn.Module):
        def forward(self, y):
            self.made = make(y)
            return self.made

    model = Ends().eval()
    assert model(torch.ones(ROWS, 2)) is model.made
    assert telemetry.total("ml.predictions") == rows
    assert telemetry.total("otelml.dropped") == 0


def test_half_precision_is_read(telemetry):
    """Probabilities of bfloat16 tell their class, and the type that they have."""
    model = net(nn.Softmax(1)).to(torch.bfloat16)
    model.end.forward = lambda _: torch.tensor([[0.25, 0.5, 0.25]], dtype=torch.bfloat16)
    model(data(1).to(torch.bfloat16))
    attributes = root(telemetry).attributes
    assert (attributes["ml.prediction.class"], attributes["ml.prediction.confidence"]) == ("1", 0.5)
    assert attributes["ml.output.dtype"] == attributes["ml.input.dtype"] == "bfloat16"


def test_missing_inputs(telemetry):
    """NaN in the input is counted where the input is small, and not said where it is too large to look at."""
    given = data(1)
    given[0, 1] = float("nan")
    net()(given)
    net()(data(40_000))
    first, second = [span.attributes for span in telemetry.spans() if span.name == "predict Net"]
    assert first["ml.input.missing"] == 1
    assert "ml.input.missing" not in second
    assert second["ml.input.shape"] == (40_000, 4)


def test_names(telemetry):
    """A watched model has its name, also behind a wrapper."""
    model = otelml.watch(net(), "churn", "7")
    model(data())
    torch.nn.DataParallel(model)(data())
    torch.compile(model, backend="eager")(data())
    assert [(p.attributes["ml.model.name"], p.value) for p in telemetry.points("ml.requests")] == [("churn", 3)]


# Who counts ---------------------------------------------------------------------------------------------------------


def test_training_does_not_count(telemetry):
    """A model in training mode serves nobody, nor does a loss, or a layer that was never put to serve."""
    model = net().train()
    loss = nn.CrossEntropyLoss()(model(data()), torch.zeros(ROWS, dtype=torch.long))
    loss.backward()
    nn.Softmax(1)(data())
    assert telemetry.total("ml.requests") == 0


def test_methods_of_modules_do_not_count(telemetry):
    """What a module calls from a method of its own, or PyTorch from its own code, is part of something else."""
    model = net()
    model.forward(data())
    model.encode(data())
    model.layers.forward(data())
    torch.func.functional_call(model, dict(model.named_parameters()), (data(),))
    assert telemetry.total("ml.requests") == 0


def test_checkpoints_do_not_count_again(telemetry):
    """What is computed anew to find gradients is no request."""
    part = net()

    class Whole(nn.Module):
        def forward(self, x):
            return torch.utils.checkpoint.checkpoint(lambda y: part(y), x, use_reentrant=False)  # noqa: PLW0108 - ours

    model = Whole().train()
    model(data().requires_grad_()).sum().backward()
    assert telemetry.total("ml.requests") == 0


def test_within_a_prediction_of_the_application(telemetry):
    """A call there is its stage, and fills its result; one that is open already stays the only one."""
    with otelml.prediction("own"):
        net(nn.Softmax(1))(data(1))
    with otelml.prediction("own") as p, p.stage("inference"):
        net(nn.Softmax(1))(data(1))
    assert telemetry.total("ml.requests") == 2
    spans = telemetry.spans()
    for own in (span for span in spans if span.name == "predict own"):
        assert [span.name for span in spans if span.parent_id == own.span_id] == ["inference"]
        assert "ml.prediction.confidence" in own.attributes


def test_suppressed(telemetry):
    """Where instrumentation is suppressed nothing counts."""
    with suppress_instrumentation():
        net()(data())
    assert telemetry.total("ml.requests") == 0


@pytest.mark.parametrize("decorate", [torch.no_grad(), torch.inference_mode()])
def test_decorated(telemetry, decorate):
    """A module behind PyTorch's decorators is called by the application."""
    decorate(net())(data())
    assert telemetry.total("ml.requests") == 1


def test_threads_count_exactly(telemetry):
    """Eight threads on one model: each call once."""
    model = net()
    threads = [threading.Thread(target=lambda: [model(data(1)) for _ in range(25)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert telemetry.total("ml.requests") == 200


def test_errors_pass(telemetry):
    """What PyTorch raises reaches the application as it is, and counts."""
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        net()(torch.ones(2, 3))
    (point,) = telemetry.points("ml.requests")
    assert (point.value, point.attributes["error.type"]) == (1, "RuntimeError")


# Other ways to run a module -------------------------------------------------------------------------------------------


def script(model):
    """Return a scripted module that was saved and loaded."""
    return stored(torch.jit.script(model))


def trace(model):
    """Return a traced module that was saved and loaded."""
    return stored(torch.jit.trace(model, data()))


def stored(scripted):
    """Save and load."""
    file = io.BytesIO()
    torch.jit.save(scripted, file)
    file.seek(0)
    return torch.jit.load(file)


WAYS = {
    "compiled": lambda model: torch.compile(model, backend="eager", fullgraph=True),
    "scripted": script,
    "traced": trace,
    "parallel": nn.DataParallel,
    "exported": lambda model: torch.export.export(model, (data(),)).module(),
    "symbolic": torch.fx.symbolic_trace,
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("way", WAYS)
def test_ways_to_run_a_module(way):
    """However a module is run, it answers the same and counts once; to make it counts not."""
    bare = WAYS[way](net(nn.Softmax(1)))(data())
    with recording(integrations=["torch"]) as seen:
        made = WAYS[way](net(nn.Softmax(1)))
        assert seen.total("ml.requests") == 0
        assert torch.equal(made(data()), bare)
        assert seen.total("ml.requests") == 1
        confidences = sum(point.count for point in seen.points("ml.prediction.confidence"))
        assert confidences == seen.total("ml.predictions")
        (name,) = {point.attributes["ml.model.name"] for point in seen.points("ml.requests")}
    assert name in {"Net", "GraphModule"}


def counted(model, *calls):
    """Return what Dynamo counts while a model is compiled and called."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    for call in calls:
        call(model)
    counters = torch._dynamo.utils.counters
    return {name: dict(counters[name]) for name in ("stats", "graph_break", "frames")}


def whole(model):
    """Compile a module."""
    torch.compile(model, backend="eager", fullgraph=True)(data())


def in_place(model):
    """Compile a module in place, in another copy."""
    model = copy.deepcopy(model)
    model.compile(backend="eager", fullgraph=True)
    model(data())


def function(model):
    """Compile a function that calls a module."""
    torch.compile(lambda x: model(x) + 1, backend="eager", fullgraph=True)(data())


def part(model):
    """Compile a part of a module."""
    model = copy.deepcopy(model)
    model.layers = torch.compile(model.layers, backend="eager", fullgraph=True)
    model(data())


def test_dynamo_sees_nothing_of_it():
    """Frames, graphs and breaks are those without otelml; a compiled function is the application's and counts not."""
    calls = (whole, in_place, function, part)
    bare = counted(net(), *calls)
    with recording(integrations=["torch"]) as seen:
        assert counted(net(), *calls) == bare
        assert bare["graph_break"] == {}
        assert seen.total("ml.requests") == 3
    assert counted(net(), *calls) == bare


def test_what_a_compiled_function_calls_is_its_own():
    """A call between two graphs of a compiled function counts not, and Dynamo finds nothing of ours to compile."""
    model = net()

    def work(x):
        torch._dynamo.graph_break()
        return torch._dynamo.disable(model)(x)

    def counts():
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        torch.compile(work, backend="eager")(data())
        torch.compile(model, backend="eager", fullgraph=True).forward(data())
        return {name: dict(counts) for name, counts in torch._dynamo.utils.counters.items()}

    bare = counts()
    with recording(integrations=["torch"]) as seen:
        assert counts() == bare
        assert seen.total("ml.requests") == 0


def test_hooks_stay_out_of_a_compiled_module():
    """Hooks of a compiled module run as they did: what they do is not part of the graph."""

    def counts():
        seen = []
        model = net()
        model.register_forward_hook(lambda *_: seen.append(1))
        model.layers[0].register_forward_hook(lambda *_: None)
        return counted(model, whole, whole), len(seen)

    bare = counts()
    with recording(integrations=["torch"]):
        assert counts() == bare


AFTERWARDS = """
import torch
import otelml
from otelml.testing import recording

def net():
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU()).eval()

original = torch.nn.Module.__call__
with recording(integrations=["torch"]) as seen:
    import torch._dynamo  # now, so that it finds ours
    torch.compile(net(), backend="eager", fullgraph=True)(torch.ones(2, 4))
    assert torch._dynamo.utils.unpatched_nn_module_call is torch.nn.Module.__call__
    assert seen.total("ml.requests") == 1
assert torch.nn.Module.__call__ is torch._dynamo.utils.unpatched_nn_module_call is original
torch.compile(net(), backend="eager", fullgraph=True)(torch.ones(2, 4))
"""


def test_a_dynamo_that_is_loaded_later():
    """It takes our function for PyTorch's own, and has PyTorch's back at the end."""
    done = subprocess.run([sys.executable, "-c", AFTERWARDS], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr


def test_a_model_that_is_exported_is_not_measured(telemetry):
    """Tracing by the application's own function, and under fake tensors, is no prediction; no warning comes of us."""
    model = net(nn.Softmax(1)).requires_grad_(requires_grad=False)
    torch.jit.trace(lambda x: model(x), data(), check_trace=False)  # noqa: PLW0108 - a function of the application's
    with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True):
        model(data())
    assert telemetry.total("ml.requests") == 0


# What does not change -----------------------------------------------------------------------------------------------


def shape(model):
    """Return what inspection shows of a module."""
    call = type(model).__call__
    told = [getattr(call, what) for what in ("__doc__", "__name__", "__qualname__", "__module__")]
    return [*told, str(inspect.signature(call)), dir(type(model)), sorted(vars(model)), repr(model)]


def test_models_stay_what_they_are():
    """Copies, pickles, state and inspection are those without otelml; afterwards the function is back."""
    model, before = net(), nn.Module.__call__
    bare, known, state = model(data()), shape(model), list(model.state_dict())
    with recording(integrations=["torch"]):
        assert nn.Module.__call__ is not before
        assert shape(model) == known
        assert list(model.state_dict()) == state
        file = io.BytesIO()
        torch.save(model, file)
        assert b"otelml" not in file.getvalue()
        file.seek(0)
        copies = [
            copy.deepcopy(model),
            pickle.loads(pickle.dumps(model)),  # noqa: S301 - our own
            torch.load(file, weights_only=False),
        ]
        for each in copies:
            assert torch.equal(each(data()), bare)
        answer = model(data())
        answer.sum().backward()
        assert answer.grad_fn.name() == bare.grad_fn.name()
        assert model.layers[0].weight.grad.abs().sum() > 0
    assert nn.Module.__call__ is before


def test_nothing_is_kept_alive(telemetry):
    """Inputs, answers and models end when the application lets go of them."""
    model, given = net(nn.Softmax(1)), data()
    answer = model(given)
    kept = [weakref.ref(each) for each in (model, given, answer)]
    del model, given, answer
    gc.collect()
    assert [each() for each in kept] == [None] * 3


class Held:
    """Holds what its caller has let go of, where frames are read."""

    def serve(self, model):
        """Call a model; return whether its input lives on."""
        given = data()
        kept = weakref.ref(given)
        model(given)
        del given
        return kept() is not None


def test_locals_of_the_caller_are_not_kept(telemetry):
    """To tell who calls does not keep a caller's locals alive while it runs on."""
    assert Held().serve(net()) is False
