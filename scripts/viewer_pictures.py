"""Makes docs/images/view-*.png: the viewer's pages, filled by the demo's real flights, in Debian's Chromium.

python scripts/viewer_pictures.py [SECONDS] replays flights for so long (180), on a machine that has nothing else to do.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from playwright.sync_api import sync_playwright

from otelml.viewer.access import Access
from otelml.viewer.page import PageServer
from otelml.viewer.receiver import Receiver

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from otelml.viewer.store import Store

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
SIZES = {"phone": (390, 844), "laptop": (1366, 768), "wide": (1920, 1080)}
RATE = 12


@dataclass(frozen=True, slots=True)
class Picture:
    """A page's path, the size of the screen and the theme."""

    path: str
    size: str
    theme: Literal["dark", "light"]


def main() -> int:
    """Run the demo against a viewer, then take the pictures."""
    seconds = sys.argv[1] if len(sys.argv) > 1 else "180"
    with Receiver() as receiver:
        viewer = PageServer(receiver.store, Access(), ("127.0.0.1", 0), {"http": receiver.http_endpoint})
        environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint}
        command = [sys.executable, "-m", "otelml.demo.cli", "--seconds", seconds, "--rate", str(RATE)]
        subprocess.run(command, env=environment, check=True)  # noqa: S603 - ours
        with sync_playwright() as playwright:
            arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
            for name, picture in pictures(receiver.store).items():
                take(browser, viewer, picture, IMAGES / f"view-{name}.png")
            browser.close()
        viewer.close()
    return 0


def pictures(store: Store) -> dict[str, Picture]:
    """Return the pictures by name."""
    sql = "SELECT trace_id FROM spans WHERE starts_with(name, 'predict ') ORDER BY duration_ns DESC LIMIT 1 OFFSET 5"
    ((trace,),) = store.query(sql)
    ((model, version),) = store.query("SELECT model, version FROM spans WHERE starts_with(name, 'predict ') LIMIT 1")
    return {
        "model": Picture(f"/model/{model}/{version}", "laptop", "dark"),
        "trace": Picture(f"/trace/{trace}", "laptop", "light"),
        "phone": Picture(f"/model/{model}/{version}", "phone", "dark"),
    }


def take(browser: Browser, viewer: PageServer, picture: Picture, to: Path) -> None:
    """Save one page as a picture."""
    width, height = SIZES[picture.size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=picture.theme)
    shown = context.new_page()
    shown.goto(viewer.link())
    shown.goto(viewer.url.rstrip("/") + picture.path)
    shown.locator("main h2").first.wait_for()
    shown.wait_for_timeout(1000)  # the charts
    shown.screenshot(path=to)
    context.close()
    print(f"{to.relative_to(ROOT)}: {to.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    sys.exit(main())
