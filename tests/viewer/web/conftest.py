"""The page as a reader has it: Debian's Chromium, the viewer's own server, the real demo's telemetry, hostile texts."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

import otelml
from otelml.viewer.access import Access
from otelml.viewer.page import PageServer
from otelml.viewer.receiver import Receiver

ROOT = Path(otelml.__file__).parents[1]
WEB = ROOT / "otelml" / "viewer" / "web"
HOSTILE = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
TOKEN = "a-token-of-the-tests"  # noqa: S105 - of a server on loopback that lives as long as the tests
FLIGHTS = 120
DEMO = """
import sys
from otelml.demo import cli, services
services.START_SECONDS = 300.0  # as many tests as there are CPUs start beside it
sys.exit(cli.main(sys.argv[1:]))
"""


def missing(what, how):
    """Skip for want of a tool on a user's machine; fail in continuous integration, which installs it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing: {how}")
    pytest.skip(f"{what} is missing: {how}")


@pytest.fixture(scope="session")
def modules():
    """Return the folder of the npm packages that the page is built and checked with."""
    if shutil.which("npm") is None:
        missing("npm", "apt-get install nodejs npm, or https://nodejs.org")
    folder = WEB / "node_modules"
    if not (folder / "axe-core").exists():
        subprocess.run(["npm", "ci", "--no-fund", "--no-audit"], cwd=WEB, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def browser():
    """Start Debian's Chromium for one file: until its end Playwright's event loop runs in this thread."""
    found = shutil.which("chromium")
    if found is None:
        missing("Chromium", "apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is missing: pip install playwright")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=arguments)
        yield chromium
        chromium.close()


def serve(stack):
    """Start a receiver and the page of its store."""
    receiver = stack.enter_context(Receiver())
    page = PageServer(receiver.store, Access(token=TOKEN), ("127.0.0.1", 0), {"http": receiver.http_endpoint})
    stack.callback(page.close)
    return SimpleNamespace(receiver=receiver, store=receiver.store, page=page, url=page.url.rstrip("/"))


@pytest.fixture(scope="session")
def viewer():
    """Run a viewer that holds the demo's real flights and what a hostile sender made up."""
    pytest.importorskip("rich", reason="the demo's packages are missing: pip install 'otelml[demo]'")
    with ExitStack() as stack:
        running = serve(stack)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
        kept["OTEL_EXPORTER_OTLP_ENDPOINT"] = running.receiver.http_endpoint
        demo = ["-c", DEMO, "--count", str(FLIGHTS), "--rate", "0"]
        for code in (demo, [Path(__file__).parent / "hostile_sender.py"]):
            done = subprocess.run([sys.executable, *code], env=kept, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        yield running


@pytest.fixture(scope="session")
def nothing():
    """Run a viewer that has received nothing."""
    with ExitStack() as stack:
        yield serve(stack)


class Reader:
    """A page of the browser, and everything that went wrong on it."""

    def __init__(self, browser, viewer, *, width=1366, height=768, theme="dark"):
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, accept_downloads=True
        )
        self.viewer, self.page, self.faults = viewer, self.context.new_page(), []
        self.page.set_default_timeout(15_000)
        self.page.on(
            "console", lambda said: self.faults.append(said.text) if said.type in {"error", "warning"} else None
        )
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", self._requested)
        self.page.goto(viewer.page.link())

    def _requested(self, request):
        if not request.url.startswith((self.viewer.url, "data:", "blob:")):
            self.faults.append(f"asked {request.url}")

    def open(self, path):
        """Go to a page and wait until it shows its answer."""
        self.page.goto(self.viewer.url + path)
        self.settle()

    def settle(self):
        """Wait until the page has what it asked for, and its lines are drawn: they are a frame after their place."""
        self.page.wait_for_selector("main h1")
        self.page.locator("[aria-busy]").wait_for(state="detached")
        self.page.wait_for_selector(".line > [role=img]:not(:has(canvas))", state="detached")

    def counts(self, selector, wanted):
        """Wait until so many elements are there."""
        deadline = time.monotonic() + 15
        while self.page.locator(selector).count() != wanted and time.monotonic() < deadline:
            self.page.wait_for_timeout(50)
        assert self.page.locator(selector).count() == wanted

    def text(self, selector="main"):
        """Return the text shown, narrow spaces as spaces."""
        return self.page.inner_text(selector).replace("\u202f", " ")

    def rows(self, selector="main table tbody tr"):
        """Return the cells of a table's rows."""
        script = "rows => rows.map(row => [...row.children].map(cell => cell.innerText.trim()))"
        return [[c.replace("\u202f", " ") for c in row] for row in self.page.eval_on_selector_all(selector, script)]

    def api(self, path):
        """Ask the API what the page asks it."""
        return self.page.request.get(self.viewer.url + path).json()


@pytest.fixture
def read(browser, viewer):
    """Return a function that opens the filled viewer; what goes wrong on any page fails the test."""
    with ExitStack() as stack:
        readers = []

        def opened(of=viewer, **options):
            reader = Reader(browser, of, **options)
            stack.callback(reader.context.close)
            readers.append(reader)
            return reader

        yield opened
        assert [fault for reader in readers for fault in reader.faults] == []
