"""The shape of the code: sizes, imports, names. What fails here is to be cut smaller, not allowed."""

import ast
import re
import statistics
import sys
from importlib import import_module
from pathlib import Path

import pytest

import otelml
from otelml import semconv

ROOT = Path(otelml.__file__).parents[1]
PACKAGE = ROOT / "otelml"
FILES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
MAX_FILE, MAX_FUNCTION, MAX_MEDIAN = 400, 50, 10


def name(path):
    """Return a file's path within the repository."""
    return str(path.relative_to(ROOT))


def module(path):
    """Return the dotted name of a file's module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in FILES}


def functions(path):
    """Return (name, lines of code without the documentation) of every function in a file."""
    found = []
    for node in ast.walk(TREES[path]):
        if isinstance(node, FUNCTIONS):
            first = node.body[1].lineno if ast.get_docstring(node) and len(node.body) > 1 else node.body[0].lineno
            found.append((node.name, node.end_lineno - first + 1))
    return found


@pytest.mark.parametrize("path", FILES, ids=name)
def test_sizes(path):
    """A file has at most 400 lines, a function at most 50."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_FILE
    assert [f for f in functions(path) if f[1] > MAX_FUNCTION] == []


def test_half_of_all_functions_are_short():
    """The median function has at most ten lines."""
    assert statistics.median(size for path in FILES for _, size in functions(path)) <= MAX_MEDIAN


def imports(path, *, lazy=False):
    """Return our modules that a module imports when it is imported (``lazy``: inside functions as well)."""
    found = set()
    nodes = list(TREES[path].body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            nodes += node.orelse
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("otelml"):
            names = {f"{node.module}.{alias.name}" for alias in node.names} & set(MODULES)
            found |= names or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & set(MODULES)
        elif lazy or not isinstance(node, FUNCTIONS):
            nodes += ast.iter_child_nodes(node)
    return found - {module(path)}


def test_no_import_cycle():
    """Imports between our modules go one way."""
    graph = {m: imports(path) - {"otelml"} for m, path in MODULES.items()}
    done, path = set(), []

    def visit(m):
        assert m not in path, " -> ".join([*path, m])
        if m in done:
            return
        path.append(m)
        for below in sorted(graph.get(m, ())):
            visit(below)
        path.pop()
        done.add(m)

    for m in sorted(graph):
        visit(m)
    assert len(done) >= len(MODULES)


def test_nothing_imports_the_package_itself():
    """Modules import the module they need, not the package, whose attributes hide modules of the same name."""
    inner = [path for path in FILES if path.parent == PACKAGE and path.name not in {"__init__.py", "__main__.py"}]
    assert [name(path) for path in inner if "otelml" in imports(path)] == []


@pytest.mark.parametrize("path", FILES, ids=name)
def test_everything_is_caught_in_one_place(path):
    """`except Exception` stands in _guard.py, and in the hot path where all it does is to call it; bare, nowhere."""
    handlers = [node for node in ast.walk(TREES[path]) if isinstance(node, ast.ExceptHandler)]
    broad = [h.lineno for h in handlers if h.type is None or "Exception" in ast.unparse(h.type).split(".")]
    hot = {"_http_requests.py", "asgi.py", "prediction.py", "stage.py"}
    if path.name in hot:  # a `with guard()` would cost more than the work inside
        calls = {h.lineno for h in handlers if ast.unparse(h.body[0]).startswith("failed('") and len(h.body) == 1}
        broad = [line for line in broad if line not in calls]
    base = [h for h in handlers if h.type is not None and ast.unparse(h.type) == "BaseException"]
    swallowed = [h.lineno for h in base if not any(isinstance(node, ast.Raise) for node in h.body)]
    assert not broad or path.name == "_guard.py"
    assert not swallowed or path.name == "streams.py"  # which hands it on to the application's generator


PRIVATE = re.compile(r"opentelemetry[\w.]*\._(?!logs\b)\w+|opentelemetry[\w.]* import _(?!logs\b)\w")


@pytest.mark.parametrize("path", FILES, ids=name)
def test_private_modules_of_opentelemetry(path):
    """Private modules and names of OpenTelemetry are imported in _sdk.py and _sdk_metrics.py only."""
    if path.name not in {"_sdk.py", "_sdk_metrics.py"}:
        run = [node for node in TREES[path].body if "TYPE_CHECKING" not in ast.unparse(node).split("\n")[0]]
        assert PRIVATE.search("\n".join(map(ast.unparse, run))) is None


FORBIDDEN = re.compile(r"(^|_)(utils?|helpers?|manager|common|misc|base|core)($|_)")


@pytest.mark.parametrize("path", FILES, ids=name)
def test_names_say_what_is_inside(path):
    """No module is called utils, helpers, manager or common, and each begins by saying what it is."""
    assert not FORBIDDEN.search(path.stem)
    assert ast.get_docstring(TREES[path])


def test_every_module_has_its_tests():
    """otelml/x/y.py is tested in tests/x/test_y.py, or by the tests of its package."""
    tested = {path.stem.removeprefix("test_") for path in (ROOT / "tests").rglob("test_*.py")}
    tested |= {"parse", "prometheus_families", "prometheus_names"}  # in test_config.py and test_prometheus.py
    missing = [
        name(path)
        for path in FILES
        if path.parent == PACKAGE and not path.stem.startswith("__") and path.stem.lstrip("_") not in tested
    ]
    assert missing == []


def recorded_rows():
    """Return the names in semconv that the code uses: ``semconv.X``."""
    return {
        node.attr
        for path, tree in TREES.items()
        if path.name != "semconv.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "semconv"
    }


def test_metrics_are_named_in_the_table_only():
    """No metric of ours is created under a name written elsewhere; every `semconv.X` in the code exists."""
    assert all(hasattr(semconv, used) for used in recorded_rows())
    created = re.compile(r"create_\w+\(\s*[\"'](ml|otelml)\.")
    assert [name(path) for path in FILES if created.search(path.read_text(encoding="utf-8"))] == []


def test_no_row_without_use():
    """Every metric of the table is recorded somewhere."""
    listed = {k: v for k, v in vars(semconv).items() if isinstance(v, semconv.Metric)}
    text = "\n".join(
        p.read_text(encoding="utf-8") for p in FILES if p.name != "semconv.py" and p.parent.name != "_rows"
    )
    unused = [k for k, v in listed.items() if not re.search(rf"semconv\.{k}\b", text) and v.name not in text]
    assert unused == []


@pytest.mark.parametrize("path", [p for p in FILES if "__all__" in p.read_text(encoding="utf-8")], ids=name)
def test_exports_are_sorted_and_exist(path):
    """__all__ is sorted, without doubles, and every name in it exists."""
    exported = import_module(module(path)).__all__
    assert list(exported) == sorted(set(exported), key=lambda n: (not n.isupper(), n[0].islower() or n[0] == "_", n))
    assert all(hasattr(import_module(module(path)), each) for each in exported)


def test_public_names_are_exactly_these():
    """What `from otelml import *` gives is what the package offers: no more, no less."""
    public = {
        n
        for n, v in vars(otelml).items()
        if not n.startswith("_") and n != "annotations" and (type(v) is not type(sys) or n in otelml.__all__)
    }
    assert public | {"__version__"} == set(otelml.__all__)


def test_no_local_paths():
    """Nothing in the files names a machine's paths."""
    where = re.compile(r"/(work|tmp|home|root)/")
    shipped = [*FILES, *(ROOT / "tests").rglob("*.py")]
    assert [name(p) for p in shipped if p != Path(__file__) and where.search(p.read_text(encoding="utf-8"))] == []


def test_files_of_tests_have_names_of_their_own():
    """Pytest imports them by name alone: two of one name don't run together."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))
