"""The accelerator: when it is used, and that its methods fail as those in Python do.

That it does the same otherwise, the tests of predictions say, which run over both: scripts/test-integrations native.
"""

import asyncio
import gc
import inspect
import json
import os
import subprocess
import sys
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from time import perf_counter_ns

import numpy as np
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from sklearn.linear_model import LogisticRegression

import otelml
from otelml import _guard, _native, _sdk
from otelml._drops import Drops
from otelml.encoding import Unusual
from otelml.export import BatchQueue
from otelml.integrations import _http_series
from otelml.integrations._http_requests import Request, RequestFields
from otelml.integrations._routes import Noted
from otelml.integrations._server_spans import ServerSpan, ServerSpanFields
from otelml.integrations._sklearn_served import Served, ServedFields
from otelml.integrations.asgi import Requests
from otelml.outage import Outage
from otelml.prediction import Prediction, PredictionFields
from otelml.processors import SpanQueueProcessor
from otelml.result import Result, ResultFields
from otelml.stage import Stage, StageFields
from otelml.testing import recording

ROOT = Path(otelml.__file__).parents[1]
FIELDS = {
    Stage: StageFields,
    Prediction: PredictionFields,
    Served: ServedFields,
    ServerSpan: ServerSpanFields,
    Request: RequestFields,
    Result: ResultFields,
}
ACCELERATED = {
    Prediction: ("begin", "__enter__", "__exit__", "stage", "outcome"),
    Stage: ("begin", "__enter__", "__exit__"),
    Served: ("__init__", "done", "outcome"),
    Requests: ("begin",),
    Request: ("send", "finish"),
    BatchQueue: ("put_parts",),
}
WITHOUT = "import sys; sys.modules['otelml_native'] = None\n"
STATE = "from otelml import _native; print(_native.module is not None, _native.said)"
needed = pytest.mark.skipif(
    _sdk.native is None, reason="otelml-native is not installed; scripts/test-integrations native"
)


def python(code, **env):
    """Return what a program prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **env}, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def said_of(tmp_path, source):
    """Return what is said where this is the accelerator."""
    (tmp_path / "otelml_native.py").write_text(source, encoding="utf-8")
    return python(STATE, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")


def test_one_of_another_version_is_left_alone(tmp_path):
    """What was made for other attributes is not used, and it is said why."""
    said = said_of(tmp_path, "CONTRACT = 99")
    assert said == f"False left alone: made for another version of otelml (99 instead of {_native.CONTRACT})"


def test_one_that_does_not_load_is_left_alone(tmp_path):
    """A broken file is no reason not to start."""
    said = said_of(tmp_path, "raise ImportError('undefined symbol: PyObject')")
    assert said == "False can't be loaded: undefined symbol: PyObject"


def test_without_the_interpreters_lock_it_is_left_alone():
    """To import it would switch the lock on, for all of the application."""
    said = python("import sys; sys._is_gil_enabled = lambda: False\n" + STATE)
    assert said == "False left alone: this Python runs without its lock"


def test_where_it_is_not_installed_nothing_is_said():
    """Most have not."""
    assert python(WITHOUT + STATE) == "False"


def test_it_is_used_where_it_is_installed():
    """In its own environment, so that the tests there run over it; and nowhere else by accident."""
    assert (_sdk.native is not None) == (_native.said == "used")
    assert _native.said == "used" or os.environ.get("TEST_ENVIRONMENT") != "native"


def doctor(tmp_path, source):
    """Return what the doctor says where this is the accelerator."""
    (tmp_path / "otelml_native.py").write_text(source, encoding="utf-8")
    code = "from otelml.cli import main; main(['doctor', '--offline', '--json'])"
    said = json.loads(python(code, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}"))
    return next((row["state"], row["detail"], row["fix"]) for row in said if row["what"] == "accelerator")


def test_the_doctor_says_why_it_is_left_alone(tmp_path):
    """What is installed and does nothing is noted, with the command that brings the right one."""
    state, detail, fix = doctor(tmp_path, "CONTRACT = 99")
    assert state == "note"
    assert detail.startswith("otelml-native is left alone: made for another version")
    assert fix.endswith(f"@v{version('otelml')}#subdirectory=native'")


def test_the_doctor_says_whether_it_is_used(tmp_path):
    """It is fine with it, and without."""
    assert doctor(tmp_path, "raise ModuleNotFoundError(name='otelml_native')")[0] == "ok"
    if _sdk.native is not None:
        said = json.loads(python("from otelml.cli import main; main(['doctor', '--offline', '--json'])"))
        found = next(row for row in said if row["what"] == "accelerator")
        assert found["detail"] == f"otelml-native {version('otelml-native')}, used"


CHOOSE = f"import sys; sys.path.insert(0, {str(ROOT / 'benchmarks')!r}); import accelerator\n"


def test_benchmarks_of_python_run_without_it():
    """Whoever has installed it does not measure it by accident."""
    assert python(f"{CHOOSE}print(accelerator.choose('otelml')); {STATE}").split() == ["otelml", "False"]


def test_a_benchmark_of_it_does_not_run_without_it():
    """It ends with the command that installs it; what is not asked for by name is left out."""
    code = f"{CHOOSE}accelerator.find_spec = lambda _: None\naccelerator.choose('otelml-native')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (1, "otelml-native needs otelml-native: pip install ./native\n")


@needed
def test_what_it_does_arrives(tmp_path):
    """Every span, event and point of its predictions reaches a real receiver, as many as without it."""
    names = ["otelml", "otelml-native"]
    command = [sys.executable, str(ROOT / "benchmarks/prediction.py"), "--quick", "--only", ",".join(names)]
    subprocess.run([*command, "--json", str(tmp_path / "figures.json")], check=True, capture_output=True, timeout=240)
    rounds = json.loads((tmp_path / "figures.json").read_text("utf-8"))["rounds"]
    python_, native = (rounds[name][0]["received"] for name in names)
    assert (native["spans"], native["logs"], native["correlated"]) == (5 * 300, 300, 300)
    of_models = [
        {name: n for name, n in each["points"].items() if name.startswith("ml.")} for each in (python_, native)
    ]
    assert of_models[0] == of_models[1] != {}


@needed
def test_a_second_interpreter_goes_without():
    """What it keeps are the objects of one interpreter: another one in the process does not touch them."""
    pytest.importorskip("_xxsubinterpreters", reason="Python 3.12 has another module for it")
    code = (
        "import _xxsubinterpreters as interpreters, otelml\nfrom otelml import _native\n"
        "print(_native.said)\nother = interpreters.create(isolated=False)\n"
        "interpreters.run_string(other, 'from otelml import _native; print(_native.said, flush=True)')\n"
        "print(_native.module.is_home())\n"
    )
    assert python(code).splitlines() == ["used", "left alone: another interpreter of this process uses it", "True"]


@needed
def test_its_methods_are_in_place():
    """Those of the common path are its own."""
    for kind, names in ACCELERATED.items():
        assert [name for name in names if not inspect.ismethoddescriptor(vars(kind)[name])] == []


@needed
def test_its_signatures_are_those_in_python():
    """Help and editors say the same of both."""
    code = (
        "import inspect, json, otelml\nfrom otelml.stage import Stage\nfrom otelml.integrations.asgi import Requests\n"
        "def told(kind, name):\n"
        "    return [(p.name, p.kind.name) for p in inspect.signature(getattr(kind, name)).parameters.values()]\n"
        "pairs = [(otelml.Prediction, 'begin'), (otelml.Prediction, 'stage'), (Stage, 'begin')]\n"
        "pairs += [(Requests, 'begin')]\n"
        "print(json.dumps([told(*pair) for pair in pairs]).replace('POSITIONAL_ONLY', 'POSITIONAL_OR_KEYWORD'))"
    )
    assert json.loads(python(code)) == json.loads(python(WITHOUT + code))


@needed
def test_its_attributes_are_those_in_python():
    """The same names with the same first values."""
    code = (
        "import json\nfrom otelml.integrations._sklearn_served import ServedFields\n"
        "from otelml.integrations._http_requests import RequestFields\n"
        "from otelml.integrations._server_spans import ServerSpanFields\n"
        "from otelml.prediction import PredictionFields\nfrom otelml.stage import StageFields\n"
        "from otelml.result import ResultFields\n"
        "def names(kind):\n"
        "    return sorted({*kind.__annotations__, *(n for n in vars(kind) if n[:2] != '__')})\n"
        "def first(kind):\n"
        "    return {n: repr(getattr(kind(), n, 'unset')) for n in names(kind)}\n"
        "kinds = [StageFields, PredictionFields, ServedFields, ServerSpanFields, RequestFields, ResultFields]\n"
        "print(json.dumps([first(kind) for kind in kinds]))"
    )
    for fields, plain in zip(FIELDS.values(), json.loads(python(WITHOUT + code)), strict=True):
        members = [name for name in vars(fields) if inspect.ismemberdescriptor(vars(fields)[name])]
        assert {name: repr(getattr(fields(), name, "unset")) for name in members} == plain


@needed
@pytest.mark.parametrize("module", ["prediction", "stage"])
def test_a_fault_is_counted_and_not_raised(monkeypatch, module):
    """Where a beginning fails, the application's block runs all the same, and the next one is observed."""

    def broken():
        raise OSError("no clock")

    with recording() as telemetry:
        monkeypatch.setattr(_guard, "strict", False)
        for clock in (broken, perf_counter_ns):
            monkeypatch.setattr(import_module(f"otelml.{module}"), "perf_counter_ns", clock)
            with otelml.prediction("m") as p:
                stage = p.stage("inference").begin()
                monkeypatch.undo()
                stage.finish()
        assert _guard.errors() == {f"{module}.begin": 1}
        assert telemetry.total("ml.stage.duration") == 1


@needed
def test_a_fault_of_the_recorder_is_counted(monkeypatch):
    """What the recorder raises does not reach the application, from predictions and from calls of libraries."""

    def broken(_):
        raise ValueError("broken")

    rows = np.random.default_rng(0).normal(size=(20, 3))
    with recording(integrations=["sklearn"]):
        model = LogisticRegression().fit(rows, rows[:, 0] > 0)
        monkeypatch.setattr(_guard, "strict", False)
        monkeypatch.setattr(otelml.auto_instrument().recorder, "put", broken)
        with otelml.prediction("m"):
            pass
        assert model.predict_proba(rows[:1]).shape == (1, 2)
        assert {"prediction.finish": 1, "sklearn.finish": 1}.items() <= _guard.errors().items()


def without(name, owner):
    """Return it without one of its attributes."""
    delattr(owner, name)
    return owner


@needed
def test_a_wrong_call_is_refused():
    """It says so as Python does, and does not fall over."""
    native = _sdk.native
    with recording():
        p = otelml.prediction("m")
        for call in (
            lambda: p.begin(1),
            lambda: p.begin(other=1),
            p.stage,
            lambda: p.stage("a", "b"),
            lambda: p.stage("a").begin(1, 2),
            lambda: p.stage("a").__exit__(None),
            lambda: p.__exit__(*range(9)),
            lambda: Served(1, 2),
            lambda: Served(1, 2, 3),
            lambda: native.with_span({}, None),
            lambda: native.with_span(1, 2, 3, 4),
            lambda: native.detach(1),
            lambda: native.use_context(1, 2, 3),
            lambda: native.use_stage(1, 2),
            lambda: native.use_prediction(1),
            lambda: native.use_served(1),
            lambda: native.use_requests(1),
            lambda: native.use_queue(1),
            lambda: native.use_message(1),
            lambda: native.framed(b""),
            lambda: native.framed("", 1, b""),
            lambda: native.framed(b"", -1, b""),
            lambda: native.framed(b"", 2, [b""]),
            lambda: native.framed(b"", 1, [""]),
            lambda: native.framed(b"", 2, (b"abc", 2)),
            lambda: native.framed(b"", 1, (b"abc", -1)),
            lambda: native.framed(b"", 1, *[b""] * 9),
            lambda: native.times([without("started", p)]),
            lambda: native.ids([without("ids", p)]),
            lambda: native.stage_times([(without("ended", p.stage("a")),)]),
            lambda: native.stage_ids([(without("span_id", p.stage("a")),)]),
            lambda: _http_series.message(1),
            lambda: Requests().begin(1),
            Requests().begin,
        ):
            with pytest.raises(TypeError):
                call()


def work(model, row):
    """Make predictions of every kind: with stages, failing, unsampled ones within, given ids, of a library."""
    with otelml.prediction("m", "1") as p, p.stage("preprocessing"), p.stage("inference"):
        p.result(classes="late", confidence=0.8)
    with suppress(ValueError), otelml.prediction("m", request_id="r-1") as p, p.stage("a name"):
        raise ValueError("broken")
    with suppress(TypeError):
        p.stage()
    late = p.stage("late")
    with late:
        pass
    p = otelml.prediction("m").begin(attach=False)
    p.stage("postprocessing").begin(1, attach=False)
    p.finish()
    model.predict_proba(row)
    with otelml.prediction("m"):
        model.predict_proba(row)


@needed
@pytest.mark.parametrize("size", [0, 1, 60, 127, 128, 15_000])
@pytest.mark.parametrize(("parent", "remote"), [(0, False), (1, False), (2**64 - 1, True)])
def test_spans_of_requests_are_the_same_bytes(size, parent, remote):
    """Short ones and long ones, below another one or not."""
    given = ((b"h" * size, b"tail"), 2**191 + 5, parent, remote, 1, 2**63, "r-1")
    code = f"from otelml.integrations._http_series import message; print(message(*{given!r}))"
    assert python(WITHOUT + code) == repr(_http_series.message(*given))


@needed
def test_one_that_is_too_long_is_refused():
    """As in Python, which has the SDK write it."""
    given = ((b"h" * 16_384, b""), 1, 0, False, 1, 2, "r")
    with pytest.raises(Unusual):
        _http_series.message(*given)


async def nothing(*_):
    """Stand for what a server sends and receives."""


async def answer(scope, receive, send):
    """Answer as an application does."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
    await send({"type": "http.response.body", "body": b"1"})


def request(requests, **more):
    """Make one request, observed."""
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "path_template": "/", **more}
    observed = requests.begin(None, scope, nothing)
    with suppress(StopIteration):
        answer(scope, nothing, observed.send).send(None)
    observed.finish()


class Discarding(SpanExporter):
    """Takes everything, and keeps nothing."""

    def export(self, spans):  # noqa: ARG002 - the SDK's name
        """Say that it worked."""
        return SpanExportResult.SUCCESS


@needed
def test_it_keeps_nothing_of_requests():
    """Nor do thousands of requests: common ones, below others, with ids and headers that can't be read."""
    queue = BatchQueue("span", Discarding, Drops().add, Outage(), delay=30.0)
    tracers = TracerProvider()
    tracers.add_span_processor(SpanQueueProcessor(queue, takes_encoded=True))
    requests = Requests(tracer_provider=tracers, meter_provider=MeterProvider(), routes=Noted())

    def blocks():
        for _ in range(500):
            request(requests)
            request(requests, headers=[(b"x-request-id", b"r-1"), (b"user-agent", b"x"), (b"content-length", b"9")])
            request(requests, headers=[(b"traceparent", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01")])
            request(requests, method="other", scheme=None, server=["a", 1])
        queue.force_flush(60)
        gc.collect()
        return sys.getallocatedblocks()

    for _ in range(2):
        blocks()
    before, after = blocks(), blocks()
    assert after - before < 250  # half a block a turn


@needed
def test_it_keeps_nothing():
    """Thousands of predictions leave as many blocks as they found: no reference is lost."""
    rows = np.random.default_rng(0).normal(size=(20, 3))
    with recording(integrations=["sklearn"]) as telemetry:
        model = LogisticRegression().fit(rows, rows[:, 0] > 0)
        recorder = otelml.auto_instrument().recorder

        def blocks():
            for _ in range(500):
                work(model, rows[:1])
                recorder.drain()
            telemetry.clear()
            gc.collect()
            return sys.getallocatedblocks()

        blocks()
        before, after = blocks(), blocks()
    assert after - before < 250  # half a block a turn


@needed
@pytest.mark.parametrize("said", ["late", "sp\u00e4t"])
def test_the_lines_for_people_are_those_of_python(said):
    """Numbers are written alike, whatever they are, by themselves and with others."""
    seconds = (0.0, 1e-9, 0.0042, 0.9999, 1.5, 86_400.0, 1e12, float("inf"))
    shares = (0.0, 0.835, 1.0, -0.001, 1e300, float("nan"))
    code = (
        "import json, sys\nimport numpy as np\nfrom otelml.descriptions import _sentences\n"
        f"seconds, shares, said = {seconds!r}, {shares!r}, {said!r}\n"
        "both = [(np.array([share]), np.array([each])) for each in seconds for share in shares]\n"
        "many = np.array([share for share in shares for _ in seconds[:5]]), np.array(seconds[:5] * len(shares))\n"
        "cases = [*both, many, *[(None, np.array([each])) for each in seconds], (None, np.array(seconds[:4]))]\n"
        "print(json.dumps([_sentences('delay', [said] * len(took), sure, took) for sure, took in cases]))"
    )
    nan = "nan, inf = float('nan'), float('inf')\n"
    assert json.loads(python(nan + code)) == json.loads(python(WITHOUT + nan + code))


@needed
def test_a_response_ends_when_its_last_part_was_sent():
    """Also where the server's own ``send`` waits, and where it is given something, fails or is closed meanwhile."""
    steps = []

    class Sending:
        def __await__(self):
            try:
                steps.append((yield "first"))
                yield "second"
            finally:
                steps.append("over")

    def last():
        request = Request.__new__(Request)
        request._wall, request._start, request._send, request._span = 10, 0, lambda _: Sending(), None
        return request, request.send({"type": "http.response.body"})

    request, sending = last()
    assert next(sending) == "first"
    assert (sending.send("given"), request._end) == ("second", 0)
    assert next(sending, "sent") == "sent"
    assert request._end > 0
    request, sending = last()
    next(sending)
    with pytest.raises(ZeroDivisionError):
        sending.throw(ZeroDivisionError("gone"))
    assert request._end == 0
    request, sending = last()
    next(sending)
    sending.close()
    assert (request._end, steps) == (0, ["given", "over", "over", "over"])


@needed
def test_the_last_part_may_be_a_task_of_its_own():
    """What stands for the server's ``send`` is a coroutine to asyncio: awaited, in a task, and cancelled."""

    async def send(_):
        await asyncio.sleep(0.001)

    def last():
        request = Request.__new__(Request)
        request._wall, request._start, request._send, request._span = 10, 0, send, None
        return request, request.send({"type": "http.response.body"})

    async def run():
        for begin in (asyncio.create_task, asyncio.ensure_future, partial(asyncio.wait_for, timeout=9)):
            request, sending = last()
            assert await begin(sending) is None
            assert request._end > 0
        request, sending = last()
        task = asyncio.create_task(sending)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert request._end == 0

    asyncio.run(run())
