"""The documentation is true: its snippets run, its links lead somewhere, its generated pages are fresh."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import requests

import otelml
from otelml import config, semconv
from otelml.viewer.receiver import Receiver

ROOT = Path(__file__).parent.parent
GENERATED = ("metrics.md", "settings.md")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
NAME = re.compile(r"`((?:ml|otelml)\.[a-z_.]+[a-z])`")
SCRIPT = "runs for minutes, or makes an environment"
NOT_RUN = {
    "scripts/demo": SCRIPT,
    "scripts/test": SCRIPT,
    "scripts/lint": SCRIPT,
    "scripts/docs": SCRIPT,
    "scripts/setup": SCRIPT,
    "scripts/own_tests": "runs for half an hour: tests/test_own_tests.py runs a part",
    "scripts/soak": "runs for an hour: tests/test_soak.py runs two minutes",
    "scripts/audit": "asks the network: tests/test_supply_chain.py does it without",
    "scripts/licences": "tests/test_supply_chain.py does the same",
    "scripts/sbom": "makes an environment: tests/test_supply_chain.py describes this one",
    "python benchmarks/memory.py": SCRIPT,
    "python benchmarks/prediction.py": SCRIPT,
    "python benchmarks/profiles.py": SCRIPT,
    "python benchmarks/profiling.py": SCRIPT,
    "python benchmarks/serving.py": SCRIPT,
    "python benchmarks/serving_cpu.py": SCRIPT,
    "python benchmarks/sklearn_rows.py": SCRIPT,
    "python benchmarks/startup.py": SCRIPT,
    "python benchmarks/export.py": SCRIPT,
    "python benchmarks/spool.py": SCRIPT,
    ". .venv/bin/activate": "for a shell of a checkout",
    "otelml doctor --url": "asks a service: tests/doctor/test_scrape.py runs one",
    "otelml view": "a server: tests/viewer/test_view_commands.py runs it",
    **dict.fromkeys(
        (f"otelml {name}" for name in ("traces", "errors", "logs", "metrics", "sql", "await", "export")),
        "asks a viewer: tests/viewer/test_view_commands.py runs one",
    ),
    "otelml slow": "the same",
    "python -c 'import": "writes a secret: tests/viewer/test_view_commands.py has one",
    "otelml stack": "starts processes: tests/stack does",
    'eval "$(otelml': "for a shell: tests/stack/test_real_stack.py does the same",
    "pip install": "installs packages",
    "uvicorn app:app": "a server: tests/test_examples.py runs it",
    "OTEL_SERVICE_NAME=flights otelml run -- gunicorn": "a server: tests/processes/test_servers.py runs it",
    "OTEL_METRICS_EXPORTER=prometheus OTELML_PROMETHEUS_DIR=/run/flights-metrics otelml run": "a server: the same",
    "curl": "calls that server: tests/test_examples.py does the same",
}
"""How commands begin that are not run here, each with the reason; that they exist is checked."""


def blocks(*languages):
    """Return (where it stands, text) of every code block in one of the languages."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in BLOCK.finditer(text):
            if match[1] in languages:
                line = text.count("\n", 0, match.start()) + 1
                found.append(pytest.param(match[2], id=f"{page.relative_to(ROOT)}:{line}"))
    return found


def shell_lines():
    """Return every line of every shell block once, with its first place; examples have a test of their own."""
    lines = {}
    for block in blocks("sh", "console", "bash", "shell"):
        for line in [] if block.id.startswith("examples/") else block.values[0].splitlines():
            lines.setdefault(line, block.id)
    return lines


def reason(line):
    """Return the beginning in ``NOT_RUN`` that a command has, or None: it is run."""
    return next((start for start in NOT_RUN if f"{line} ".startswith(f"{start} ")), None)


RUN = [pytest.param(line, id=f"{where}-{line[:40]}") for line, where in shell_lines().items() if not reason(line)]


def environment(**settings):
    """Return the environment of a user whose programs are first on the path."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "OTELML_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), clean["PATH"]])
    return clean | {"PATH": path} | settings


def run(command, folder, **settings):
    """Run a command in a folder; return what it did."""
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.fixture
def receiver():
    """Receive what snippets send."""
    with Receiver(grpc_port=0) as started:
        yield started


@pytest.mark.parametrize("snippet", blocks("python"))
def test_python_snippet(snippet, receiver, tmp_path):
    """It runs as it stands, says nothing on stderr but its own logs, and every prediction in it arrives."""
    done = run([sys.executable, "-c", snippet], tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_endpoint)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "otelml: " not in done.stderr
    store = receiver.store
    started = "auto_instrument(" in snippet and "otelml.prediction(" in snippet
    assert store.total("ml.requests") >= started
    assert store.counts_by_event_name().get("ml.prediction", 0) == store.total("ml.requests")
    assert store.total("otelml.dropped") == store.total("otelml.errors") == 0


def test_the_readme_sends_what_it_says(receiver, tmp_path):
    """The stages of its first prediction arrive as spans, its value and business value as metrics."""
    snippet = next(block.values[0] for block in blocks("python") if "business_value_unit" in block.values[0])
    run([sys.executable, "-c", snippet], tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_endpoint)
    spans = receiver.store.counts_by_span_name()
    assert spans == {"predict demand": 1, "feature_retrieval": 1, "inference": 1}
    assert receiver.store.total("ml.prediction.value") == 1
    assert receiver.store.total("ml.prediction.business_value", **{"ml.business_value.unit": "EUR"}) == 1


def test_a_forked_child_sends_its_own(receiver, tmp_path):
    """The example in docs/processes.md: three predictions of the parent, two of the child, each counted once."""
    snippet = next(block.values[0] for block in blocks("python") if "multiprocessing" in block.values[0])
    (tmp_path / "app.py").write_text(snippet)
    run([sys.executable, "app.py"], tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_endpoint)
    assert receiver.store.counts_by_span_name() == {"predict delay": 5}
    counts = {point.resource["service.instance.id"]: point.value for point in receiver.store.latest("ml.requests")}
    assert sorted(counts.values()) == [2, 3]


def test_the_test_passes(tmp_path):
    """The test in docs/testing.md is run by pytest, and fails when the prediction says something else."""
    snippet = next(block.values[0] for block in blocks("python") if "pytest_plugins" in block.values[0])
    for text, code in ((snippet, 0), (snippet.replace('classes="late"', 'classes="early"'), 1)):
        (tmp_path / "test_answer.py").write_text(text)
        done = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_answer.py"], tmp_path)
        assert done.returncode == code, done.stdout


def test_the_mounted_metrics_are_served(receiver, tmp_path):
    """The application of docs/prometheus.md, served by uvicorn, answers a scrape where the page says."""
    snippet = next(block.values[0] for block in blocks("python") if "prometheus.asgi_app()" in block.values[0])
    (tmp_path / "app.py").write_text(snippet)
    where = environment(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_endpoint)
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, env=where, stderr=subprocess.PIPE, text=True) as server:
        try:
            address = next(found[0] for line in server.stderr if (found := re.search(r"http://[\w.:]+", line)))
            answer = requests.get(f"{address}/metrics", timeout=10)
        finally:
            server.terminate()
    assert answer.status_code == 200
    assert 'service_name="flights"' in next(
        line for line in answer.text.splitlines() if line.startswith("target_info{")
    )


@pytest.mark.parametrize("line", RUN)
def test_shell_line(line, receiver, tmp_path):
    """It runs as it stands, beside an app.py, and ends well; what it names in the environment are settings."""
    shutil.copy(ROOT / "examples/manual_stages/app.py", tmp_path / "app.py")
    line = line.replace("http://localhost:4318", receiver.http_endpoint)
    line = line.replace("http://localhost:4317", receiver.grpc_endpoint)
    where = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint, "OTEL_EXPORTER_PROMETHEUS_PORT": "0"}
    done = run(["sh", "-c", line], tmp_path, **where)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    known = {env for row in config.SETTINGS.values() for env in row.envs}
    assert {word.partition("=")[0] for word in line.split() if re.match(r"OTEL(ML)?_\w+=", word)} <= known


@pytest.mark.parametrize("line", [line for line in shell_lines() if reason(line)])
def test_command_that_is_not_run_exists(line):
    """Its program, and every file of the repository it names, are there."""
    words = shlex.split(line)
    program, *arguments = words[next(i for i, word in enumerate(words) if "=" not in word) :]
    if "/" in program:
        assert os.access(ROOT / program, os.X_OK)
    elif program not in {"pip", "eval", "."}:  # an environment made by uv has no pip; the others are the shell's own
        assert shutil.which(program, path=environment()["PATH"])
    assert all((ROOT / word).exists() for word in arguments if word.endswith(".py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """Every link to a file of the repository finds it, and the heading it names."""
    for target in LINK.findall(BLOCK.sub("", page.read_text("utf-8"))):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in map(slug, HEADING.findall(file.read_text("utf-8"))), target


def slug(heading):
    """Return the anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_names_exist(page):
    """Every metric, event and attribute name in the text is a row of semconv, every variable a setting."""
    text = page.read_text("utf-8")
    rows = (*semconv.METRICS, *semconv.ATTRIBUTES, *semconv.EVENTS)
    assert set(NAME.findall(text)) - {row.name for row in rows} - python_names() == set()
    known = {env for row in config.SETTINGS.values() for env in row.envs}
    ours = set(re.findall(r"\bOTELML_[A-Z_]+[A-Z]\b", text))
    assert ours - known - {"OTELML_TEST_WORKERS"} == set()


def python_names():
    """Return ``otelml.name`` of everything public, modules and packages too."""
    modules = {path.stem for path in (ROOT / "otelml").glob("[a-z]*")}
    return {f"otelml.{name}" for name in modules.union(otelml.__all__)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_machine_paths(page):
    """No page shows where it was written."""
    assert re.findall(r"(?<![\w.])/(?:home|root|work|tmp|Users)/\S+", page.read_text("utf-8")) == []


def test_generated_pages_are_fresh():
    """docs/metrics.md, docs/settings.md and the table of integrations are what code, facts and figures say."""
    done = run([sys.executable, "scripts/generate_docs.py", "--check"], ROOT)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_integration_is_in_the_table():
    """The table of integrations has each entry point and no other, with a section and tests that are there."""
    facts = tomllib.loads((ROOT / "docs/integrations.toml").read_text("utf-8"))
    points = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    assert set(facts) == {name.removeprefix("otelml_") for name in points["opentelemetry_instrumentor"]}
    headings = set(map(slug, HEADING.findall((ROOT / "docs/integrations.md").read_text("utf-8"))))
    for name, row in facts.items():
        assert row["section"] in headings, name
        assert (ROOT / "tests/integrations" / row.get("tests", f"test_{name}.py")).exists() or name == "models", name


def test_every_page_is_linked():
    """A page that no other page leads to is not read."""
    linked = set()
    for page in PAGES:
        for target in LINK.findall(page.read_text("utf-8")):
            linked.add((page.parent / target.partition("#")[0]).resolve())
    assert {page for page in PAGES if page.parent.name == "docs"} - linked == set()


# The levels of CONTRIBUTING.md ------------------------------------------------------------------------------------


def levels():
    """Return the level of each module, as the table in CONTRIBUTING.md says."""
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE)
    return {name: int(level) for level, names in rows for name in re.findall(r"`([\w/]+?)(?:\.py|/)`", names)}


def module(path):
    """Return the name of a module in the table: its own, or its folder's."""
    return path.relative_to(ROOT / "otelml").parts[0].removesuffix(".py")


def imported(path):
    """Return the names, in the table, of the modules of ours that a file imports when it is loaded."""
    tree = ast.parse(path.read_text("utf-8"))
    lazy = {id(inner) for node in ast.walk(tree) if is_late(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in lazy and (node.module or "").startswith("otelml"):
            inside = node.module.split(".")[1:]
            yield from inside[:1] or (alias.name for alias in node.names)


def is_late(node):
    """Say whether what is under a node is not imported when the module is loaded."""
    checking = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    return checking or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def test_imports_flow_down():
    """Every module has a level in CONTRIBUTING.md, and imports only modules of a lower one or of its own folder."""
    level = levels()
    files = [path for path in (ROOT / "otelml").rglob("*.py") if path.name not in {"__init__.py", "__main__.py"}]
    assert {module(path) for path in files} == set(level)
    wrong = [
        (str(path.relative_to(ROOT)), name)
        for path in files
        for name in imported(path)
        if name != module(path) and level[name] >= level[module(path)]
    ]
    assert wrong == []
