"""What operators give: settings, files of every kind that otelml reads, and command lines."""

import contextlib
import csv
import importlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import yaml
from fuzzing import ANYTHING, TEXTS, draw, target
from hypothesis import strategies as st
from pyarrow import parquet
from wire_targets import BYTES, JSON

import otelml
from otelml import cli, config
from otelml.drift import InvalidReferenceError, Reference
from otelml.features.counting import faults
from otelml.outcomes.files import Bad, Columns, FileError, read
from otelml.outcomes.rows import Actual
from otelml.slo import specification
from otelml.slo.rules import render

ROOT = Path(otelml.__file__).parents[1]
ENVIRONMENT = sorted({env for row in config.SETTINGS.values() for env in row.envs})
ODD_TEXTS = (
    *("~nobody-of-that-name/x", "/dev/zero", "/dev/null", "pipe", ".", "x" * 5000, "a/" * 3000, "a\0b", "\ud800", " "),
    *("1e999", "nan", "-0", "\u0661\u0662", "1_000", "0x10", "9" * 5000, "true", "YES", "none", "none,otlp", "otlp,"),
    *("=,=,", "a=b,c", "%zz=%", "a==b", "x=1;y=", "m=1,2;m=0", "m=nan", "latency=1", "a:p95=1", "p95=-1", "p95=inf"),
    *("http://[::1", "http://host:99999", "http://a:b@c:x/", "ftp://x", "http://\xe4", "http://h:0", "//h", "http://"),
    *("postgresql://", "postgresql://u:p@h/d", "sqlite:///", "sqlite:////x", "sqlite://x", "mysql://h/d"),
    *("W0", "midnight", "w7", "grpc", "GZIP", "always_on", "parentbased_traceidratio", "0.5", "2", "payload", "({["),
    *("Authorization=a%0d%0ab", "a b=c", "\xfc=1", "k=" + "v" * 20_000, ",".join("abcdefg"), "stats", "info", "random"),
)
VALUES = st.one_of(st.sampled_from(ODD_TEXTS), TEXTS, st.integers().map(str), st.floats().map(str))


@contextlib.contextmanager
def folder():
    """Work in an empty folder that holds a pipe nobody writes to, and what is needed for commands."""
    before = os.getcwd()  # noqa: PTH109 - to go back to
    with tempfile.TemporaryDirectory() as path, patch.dict(os.environ):
        for name in ENVIRONMENT:
            os.environ.pop(name, None)
        os.chdir(path)
        os.mkfifo("pipe")
        Reference.fit({"x": np.arange(30.0), "y": ["a", "b", "c"] * 10}).save("reference.json")
        Path("slo.yaml").write_bytes((ROOT / "collector" / "slo.yaml").read_bytes())
        Path("data.csv").write_text("x,y\n1,a\n2,b\n", "utf-8")
        try:
            yield Path(path)
        finally:
            os.chdir(before)


# Settings -------------------------------------------------------------------------------------------------------


@target("settings in the environment", folder)
def environment(data, _):
    """Any environment is a configuration, or a ConfigError."""
    names = st.one_of(st.sampled_from(ENVIRONMENT), TEXTS.map(lambda text: f"OTELML_{text}"))
    with contextlib.suppress(otelml.ConfigError):
        config.rows(config.load({}, data.draw(st.dictionaries(names, VALUES, max_size=6))))


@target("each setting", folder)
def each(data, _):
    """Any text for any one setting is a configuration that can be listed, or one fault that names it."""
    name, value = data.draw(st.sampled_from(ENVIRONMENT)), data.draw(VALUES)
    try:
        found = config.load({}, {name: value})
    except otelml.ConfigError as error:
        assert 50 < len(str(error)) < 5000  # noqa: PT017 - either is right
    else:
        assert config.rows(found)


@target("settings in code", folder)
def code(data, _):
    """Anything given in code is a configuration, or a ConfigError."""
    keys = st.one_of(st.sampled_from(sorted(config._NAME_OF_KEY)), TEXTS)
    with contextlib.suppress(otelml.ConfigError):
        config.load(draw(data, st.dictionaries(keys, ANYTHING, max_size=4)), {})


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
YAMLS = (
    *(BOMB + "low_confidence: *i\n", "model_name: *x", "a: &a [*a]", "model_name: &a [*a]", "- 1", "1", "", "[" * 9000),
    *("{" * 900, "low_confidence: 2001-99-99", "window: " + "9" * 9000, "!!python/object/apply:os.getcwd []", "\t"),
    *("? [a]\n: 1", "? {a: 1}\n: 1", "1: 2", "null: 1", "model_name: !!binary x", "--- 1\n--- 2", "\ufeffgpu: no"),
    *("window: !!timestamp x", "window: !!int ''", "gpu: !!bool x", BOMB + "slos: [{name: *i, alerting: {name: *i}}]"),
    *("gpu: !!set {a, b}", "buckets: {m: [1, 2]}", "buckets: {m: {n: {o: 1}}}", "disabled: [[a]]", "window: 1:2:3"),
)


@target("the YAML file", folder)
def yaml_file(data, path):
    """Any file is a configuration, or a ConfigError."""
    documents = st.dictionaries(st.sampled_from(sorted(config._NAME_OF_KEY)), JSON, max_size=4)
    content = st.one_of(
        st.sampled_from(YAMLS).map(str.encode),
        documents.map(lambda document: yaml.safe_dump(document, allow_unicode=True).encode("utf-8", "replace")),
        *(TEXTS.map(lambda text: text.encode("utf-8", "replace")), BYTES),
    )
    (path / "otelml.yaml").write_bytes(data.draw(content))
    with contextlib.suppress(otelml.ConfigError):
        config.rows(config.load({}, {"OTELML_CONFIG": "otelml.yaml"}))


# Files ----------------------------------------------------------------------------------------------------------


def mutated(data, document, leaves):
    """Return a document with some part of it replaced by another."""
    if isinstance(document, dict) and document and data.draw(st.integers(0, 3)):
        key = data.draw(st.sampled_from(sorted(document, key=str)))
        if not data.draw(st.integers(0, 6)):
            return {name: value for name, value in document.items() if name != key}
        return {**document, key: mutated(data, document[key], leaves)}
    if isinstance(document, list) and document and data.draw(st.integers(0, 3)):
        i = data.draw(st.integers(0, len(document) - 1))
        return [*document[:i], mutated(data, document[i], leaves), *document[i + 1 :]]
    return data.draw(leaves)


@target("references", folder)
def reference(data, path):
    """Any file is a reference whose faults can be told, or an InvalidReferenceError."""
    valid = json.loads((path / "reference.json").read_text("utf-8"))
    odd = st.sampled_from([b"[" * 50_000, b'{"rows": 1e999}', b'{"version": true}', b"NaN", b"9" * 5000])
    changed = json.dumps(mutated(data, valid, JSON)).encode()
    (path / "r.json").write_bytes(data.draw(st.one_of(st.just(changed), odd, BYTES)))
    with contextlib.suppress(InvalidReferenceError):
        list(faults(Reference.load(path / "r.json")))
    with contextlib.suppress(otelml.ConfigError):
        config.load({}, {"OTELML_DRIFT_REFERENCE": "m=r.json"})


@target("objectives", folder)
def objectives(data, path):
    """Any specification makes rules, or a SpecError."""
    valid = yaml.safe_load((path / "slo.yaml").read_text("utf-8"))
    leaves = st.one_of(JSON, st.sampled_from(["{{.window}}", "rate(x[{{.window}}])", 99.9, 1e-300, 99.99999999999999]))
    changed = yaml.safe_dump(mutated(data, valid, leaves), allow_unicode=True)
    text = data.draw(st.one_of(st.just(changed), TEXTS, st.sampled_from(YAMLS)))
    with contextlib.suppress(specification.SpecError):
        render(specification.read(text))


CELLS = st.one_of(JSON, TEXTS, st.datetimes(), st.dates(), st.decimals(allow_nan=False), st.timedeltas(), BYTES)
IDS, TRUTHS, TIMES = ("prediction_id", "id", "\ufeffid", "x"), ("actual", "label", "y"), ("at", "time", "z")


def csv_bytes(rows):
    """Return rows as CSV, as far as they can be written."""
    text = io.StringIO()
    csv.writer(text).writerows([str(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8", "replace")


def parquet_bytes(names, rows):
    """Return rows as Parquet; as texts where their cells are of types that don't go together."""
    columns = dict(zip(names, zip(*rows, strict=True), strict=False))
    buffer = io.BytesIO()
    try:
        table = pa.table({name: pa.array(list(cells)) for name, cells in columns.items()})
        parquet.write_table(table, buffer)
    except (pa.ArrowException, TypeError, ValueError, OverflowError, RuntimeError):
        table = pa.table({name: [repr(cell) for cell in cells] for name, cells in columns.items()})
        buffer = io.BytesIO()
        parquet.write_table(table, buffer)
    return buffer.getvalue()


def tables(data, *names):
    """Return the ending and the bytes of a table, or of something else that says it is one."""
    heads = [data.draw(st.sampled_from(some)) for some in names]
    rows = data.draw(st.lists(st.tuples(*(CELLS for _ in heads)), max_size=4))
    lines = [json.dumps(dict(zip(heads, row, strict=True)), default=str) for row in rows]
    made = {
        ".csv": lambda: csv_bytes([heads, *rows]),
        ".jsonl": lambda: "\n".join(lines).encode("utf-8", "replace"),
        ".parquet": lambda: parquet_bytes(heads, rows),
    }
    ending = data.draw(st.sampled_from(sorted(made)))
    content = made[ending]()
    cut = data.draw(st.integers(0, len(content)))
    broken = st.sampled_from([content[:cut], content[:cut] + b"\xff" + content[cut:], b'"' * 200_000, b"[" * 50_000])
    return ending, data.draw(st.one_of(st.just(content), broken, BYTES))


@target("truths in files", folder)
def truths(data, path):
    """Any file gives truths and bad lines, or a FileError."""
    ending, content = tables(data, IDS, TRUTHS, TIMES)
    file = path / f"truths{ending}"
    file.write_bytes(content)
    with contextlib.suppress(FileError):
        assert all(isinstance(found, (Actual, Bad)) for found in read(file, Columns(), 0.0))


# Commands -------------------------------------------------------------------------------------------------------

WORDS = st.one_of(
    st.sampled_from(
        ["--json", "--help", "-o", "out", "reference.json", "data.csv", "slo.yaml", "pipe2", ".", "-1", ""]
    ),
    st.sampled_from(
        ["--bins", "--top", "--alpha", "--effect", "--since", "--id", "--database", "o.db", "--minimum-errors"]
    ),
    st.sampled_from(
        ["nan", "1e999", "x" * 3000, "a\0b", "\ud800", "-", "--", "--categorical", "x,y", "0", "m", "1", "2"]
    ),
    TEXTS,
)
importlib.import_module("otelml.demo.cli")  # or the first command would wait for them
importlib.import_module("otelml.stack.cli")
COMMANDS = (
    *(["config"], ["semconv"], ["version"], ["slo"], ["slo", "generate"], ["slo", "generate", "slo.yaml"], ["run"]),
    *(["run", "--", "no-such-program"], ["profile"], ["profile", "table"], ["drift"], ["drift", "reference.json"]),
    *(["drift", "reference.json", "table"], ["outcomes"], ["outcomes", "status"], ["outcomes", "import", "table"]),
    *(["compare"], ["compare", "m", "1", "2"], ["nonsense"], [], ["demo", "--nonsense"], ["stack", "--nonsense"]),
)
"""Those that would run a program, a server or the stack, with arguments that keep them from it."""


@target("commands", folder)
def command(data, path):
    """Any command line ends with an exit code; where it is bad, with a message and no traceback."""
    ending, content = tables(data, ("x", "id"), ("y", "actual"))
    (path / f"table{ending}").write_bytes(content)
    start = [f"table{ending}" if word == "table" else word for word in data.draw(st.sampled_from(COMMANDS))]
    more = data.draw(st.lists(WORDS, max_size=3)) if start[:1] != ["run"] else []
    written, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8", handling) for handling in ("strict", "backslashreplace"))
    variables = {name: value for name, value in data.draw(SOME_SETTINGS).items() if "\0" not in value}
    with patch.dict(
        os.environ, {k: os.fsdecode(os.fsencode(v.encode("utf-8", "replace"))) for k, v in variables.items()}
    ):
        with patch.object(sys, "stdout", written), patch.object(sys, "stderr", errors):
            try:
                code = cli.main([*start, *more])
            except SystemExit as end:
                code = end.code
        errors.flush()
        said = errors.buffer.getvalue().decode()
    assert code in {0, 1, 2, 127}, code
    assert "Traceback" not in said
    assert said.strip() or code in {0, 1}


SOME_SETTINGS = st.dictionaries(st.sampled_from(ENVIRONMENT), VALUES, max_size=1)
