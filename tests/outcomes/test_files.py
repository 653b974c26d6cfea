"""Files of truths, the command that imports them, and POST /outcomes."""

import json
import time
from datetime import UTC, datetime

import fastapi
import pyarrow as pa
import pytest
import requests
import uvicorn
from pyarrow import parquet
from recorded_outcomes import recorded, sums, written

import otelml
from otelml import cli, outcomes
from otelml.outcomes import joining
from otelml.outcomes.database import connect
from otelml.outcomes.files import Bad, Columns, FileError, read, seconds
from otelml.outcomes.rows import Actual, Predicted

NOW = 1_700_000_000.0
ROWS = [("a", "late"), ("b", "on_time"), ("c", "late")]


def save(path, rows=ROWS, names=("prediction_id", "actual")):
    """Write rows as the kind of file that the path's suffix says."""
    records = [dict(zip(names, row, strict=True)) for row in rows]
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(records), path)
    elif path.suffix == ".csv":
        path.write_text("\n".join([",".join(names), *(",".join(map(str, row)) for row in rows)]) + "\n", "utf-8")
    else:
        path.write_text("".join(json.dumps(r) + "\n" for r in records), "utf-8")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".ndjson", ".parquet"])
def test_kinds(tmp_path, suffix):
    """Each kind of file gives the same truths, with the time of now where it has none."""
    path = save(tmp_path / f"labels{suffix}")
    assert list(read(path, Columns(), NOW)) == [Actual(key, label, None, NOW) for key, label in ROWS]


def test_columns_and_times(tmp_path):
    """Columns may have any names; times are numbers or ISO 8601."""
    rows = [("a", "1", "2023-11-14T22:13:20Z"), ("b", "0", NOW + 1), ("c", "1", "")]
    path = save(tmp_path / "x.csv", rows, ("flight", "truth", "landed"))
    found = list(read(path, Columns("flight", "truth", "landed"), NOW + 9))
    assert [(f.id, f.value, f.time) for f in found] == [("a", 1.0, NOW), ("b", 0.0, NOW + 1), ("c", 1.0, NOW + 9)]


def test_bad_lines(tmp_path):
    """Each bad line is named by its number and its fault; the others are read."""
    path = tmp_path / "x.csv"
    path.write_text("prediction_id,actual,at\na,1,5\n,1,5\nb,,5\nc,1,yesterday\nd,1\ne,1,5,6\nf,0,5\n")
    found = list(read(path, Columns(), NOW))
    assert [f.id for f in found if isinstance(f, Actual)] == ["a", "f"]
    assert [(f.line, f.why.split(",")[0]) for f in found if isinstance(f, Bad)] == [
        (3, "it has no prediction id"),
        (4, "its truth can't be read"),
        (5, "its time can't be read: 'yesterday'"),
        (6, "it has not as many values as the first line"),
        (7, "it has not as many values as the first line"),
    ]
    path = tmp_path / "x.jsonl"
    path.write_text('{"id": "a", "label": 1}\nnonsense\n[1]\n\n{"id": ["x"], "label": {}, "at": []}\n')
    assert [type(f).__name__ for f in read(path, Columns(), NOW)] == ["Actual", "Bad", "Bad", "Bad"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.txt", b"", "unknown kind of file"),
        ("absent.csv", None, "No such file"),
        ("x.csv", b"foo,actual\n1,2\n", "no column prediction_id or id; it has foo, actual"),
        ("x.csv", b"id,foo\n1,2\n", "no column actual or label"),
        ("x.csv", b"id,actual\n\xff\xfe,1\n", "can't be read"),
        ("x.parquet", b"no parquet", "can't be read"),
    ],
)
def test_unusable_files(tmp_path, capsys, name, content, words):
    """A file that can't be used at all is one line that says why, and exit code 2."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileError, match=words):
        list(read(path, Columns(), NOW))
    assert cli.main(["outcomes", "import", str(path), "--database", str(tmp_path / "o.db")]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(("given", "expected"), [(5, 5.0), ("5.5", 5.5), ("x", None), (None, None), ([], None)])
def test_seconds(given, expected):
    """Times that can't be read are None."""
    assert seconds(given) == expected


def test_datetime():
    """A datetime is a time."""
    assert seconds(datetime.fromtimestamp(NOW, UTC)) == NOW


def test_import(address, tmp_path, capsys, monkeypatch):
    """The command says what became of each line; a service tells it afterwards; importing again changes nothing."""
    monkeypatch.setenv("OTELML_OUTCOMES_DATABASE", address)
    database = connect(address)
    predictions = [Predicted(f"p{i}", "delay", "1", NOW, "late", None, 0.9) for i in range(100)]
    joining.write(database, predictions, (), NOW, report=True)
    rows = [(f"p{i}", "late" if i < 60 else "on_time") for i in range(90)]
    rows += [("p0", "late"), ("p1", "on_time"), ("nobody", "late"), ("p99", "")]
    path = save(tmp_path / "labels.csv", rows)
    assert cli.main(["outcomes", "import", str(path)]) == 1
    out, err = capsys.readouterr()
    assert "94 read" in out
    assert "90 joined, 1 waiting for their prediction, 1 duplicate, 1 conflicting, 1 bad" in out
    assert err == "line 95: its truth can't be read\n"
    found = joining.unreported(database, most=1000)
    assert len(found.joined) == 90
    assert found.tallies == {("duplicate", "delay", "1"): 1, ("conflicting", "delay", "1"): 1}
    assert cli.main(["outcomes", "import", str(path)]) == 1
    assert "0 joined, 0 waiting for their prediction, 92 duplicate, 1 conflicting, 1 bad" in capsys.readouterr().out
    assert cli.main(["outcomes", "status"]) == 0
    out = capsys.readouterr().out
    assert "100 predictions, 90 with their truth; 1 truths wait for their prediction" in out
    assert "delay 1: 90 outcomes in 86,400 s: accuracy 0.6667, AUC 0.5, calibration error 0.2333" in out
    database.close()


def test_import_without_database(capsys, monkeypatch, tmp_path):
    """Without a database, or with one that is not there, the command says so and what to do."""
    monkeypatch.delenv("OTELML_OUTCOMES_DATABASE", raising=False)
    path = save(tmp_path / "x.csv")
    assert cli.main(["outcomes", "import", str(path)]) == 2
    assert "give --database or set OTELML_OUTCOMES_DATABASE" in capsys.readouterr().err
    nowhere = str(tmp_path / "no" / "such" / "o.db")
    assert cli.main(["outcomes", "import", str(path), "--database", nowhere]) == 2
    assert "the database takes nothing: unable to open" in capsys.readouterr().err


# HTTP -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def url():
    """Serve the router on loopback."""
    import socket  # noqa: PLC0415
    import threading  # noqa: PLC0415

    app = fastapi.FastAPI()
    app.include_router(outcomes.router(prefix="/ml"))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/ml/outcomes"
    server.should_exit = True
    thread.join(10)


def test_post(url, settings):
    """One truth or many are taken; what can't be read is counted and said; the rest is joined."""
    with recorded(**settings) as telemetry:
        for i in range(4):
            with otelml.prediction("delay", "1", prediction_id=f"p{i}") as p:
                p.result(classes="late")
        answer = requests.post(url, json={"prediction_id": "p0", "actual": "late", "at": time.time()}, timeout=10)
        assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "rejected": 0})
        many = [{"prediction_id": f"p{i}", "actual": "on_time", "at": "2099-01-01T00:00:00Z"} for i in (1, 2)]
        bad = [{"prediction_id": "p3"}, {"actual": 1}, {"prediction_id": "p3", "actual": 1, "at": "noon"}]
        answer = requests.post(url, json=[*many, *bad], timeout=10)
        assert (answer.status_code, answer.json()) == (202, {"accepted": 2, "rejected": 3})
        assert written(telemetry)
        assert sums(telemetry, "ml.outcomes", "ml.outcome.correct") == {("true",): 1, ("false",): 2}
        assert telemetry.drops.counts() == {("outcome", "unreadable"): 3}


def test_post_refused(url, settings):
    """Too many at once, no JSON object, and outcomes that are off are each a plain answer."""
    assert requests.post(url, json={"prediction_id": "a", "actual": 1}, timeout=10).status_code == 503
    with recorded(**settings):
        assert requests.post(url, json=[{}] * 10_001, timeout=10).status_code == 413
        assert requests.post(url, data="x", timeout=10).status_code == 422


def test_nothing_is_mounted_by_itself():
    """An application that does not include the router has no such path."""
    assert "/outcomes" not in {getattr(route, "path", None) for route in fastapi.FastAPI().routes}
