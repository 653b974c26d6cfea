"""Who reads with a keyboard, a screen reader, a phone or in the light reads all; what hostile senders write is text."""

import pytest

from otelml import semconv

pytestmark = pytest.mark.timeout(300)  # the first of them waits for the demo, and an interrupted browser is lost to all

WIDTHS = {"phone": (390, 844), "laptop": (1366, 768), "wide": (1920, 1080)}
HACKED = "window.hacked !== undefined || document.querySelector('main img, main script') !== null"


def paths(viewer):
    """Return every page, of the demo's model and of the hostile trace."""
    from urllib.parse import quote  # noqa: PLC0415

    ((hostile, span),) = viewer.store.query("SELECT trace_id, span_id FROM spans WHERE service LIKE '%hacked%'")
    ((other,),) = viewer.store.query("SELECT any_value(trace_id) FROM spans WHERE name = 'predict flight-delay'")
    ((name,),) = viewer.store.query("SELECT DISTINCT model FROM spans WHERE model LIKE '%hacked%'")
    return {
        "models": "/",
        "model": "/model/flight-delay/2013-03",
        "hostile model": f"/model/{quote(name, safe='')}/{quote(name, safe='')}",
        "compare": "/compare/flight-delay?a=2013-03&b=2013-03",
        "traces": "/traces",
        "trace": f"/trace/{other}",
        "hostile trace": f"/trace/{hostile}?span={span}",
        "two traces": f"/compare-traces?a={other}&b={hostile}",
        "logs": "/logs",
        "metrics": "/metrics",
        "metric": f"/metric/{semconv.PREDICTION_DURATION.name}",
        "hostile metric": "/metric/hostile",
        "slos": "/slos",
        "health": "/health",
    }


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_accessible(read, viewer, modules, theme):
    """Axe finds nothing wrong on any page, in either theme."""
    reader = read(theme=theme)
    axe = (modules / "axe-core" / "axe.min.js").read_text()
    wrong = {}
    for name, path in paths(viewer).items():
        reader.open(path)
        reader.page.evaluate(axe)
        found = reader.page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        wrong |= {f"{name}: {each['id']}": [node["html"][:200] for node in each["nodes"][:3]] for each in found}
        assert reader.page.evaluate("document.documentElement.dataset.theme") == theme
    assert wrong == {}


@pytest.mark.parametrize("size", WIDTHS)
def test_fits(read, viewer, size):
    """No page is wider than the screen it is read on, and no text of a hostile sender becomes markup."""
    width, height = WIDTHS[size]
    reader = read(width=width, height=height)
    wide, hacked = [], []
    for name, path in paths(viewer).items():
        reader.open(path)
        if reader.page.evaluate("document.documentElement.scrollWidth") > width:
            wide.append(name)
        if reader.page.evaluate(HACKED):
            hacked.append(name)
    assert (wide, hacked) == ([], [])


def test_hostile_texts_are_read_as_they_are(read, viewer):
    """Markup in names, attributes, events and lines is shown letter by letter, also after a click on it."""
    reader = read()
    pages = paths(viewer)
    for name in ("models", "hostile trace", "hostile metric"):
        reader.open(pages[name])
        assert '"><img src=x onerror="window.hacked=1"><script>' in reader.page.text_content("main")
    reader.open("/logs?severity=error")
    reader.page.locator(".log button").first.click()
    reader.page.locator(".log-detail button").first.click()
    reader.page.wait_for_url("**q=*")
    reader.open("/traces?errors=1")
    reader.page.locator("[data-search]").fill('"><img')
    reader.page.wait_for_timeout(300)
    assert not reader.page.evaluate(HACKED)


def test_keyboard(read, viewer):
    """From page to page, to the search box, along the rows and into one, to the help and back, without a pointer."""
    reader = read()
    press = reader.page.keyboard.press
    reader.open("/")
    for key, path in (("l", "/logs"), ("x", "/metrics"), ("s", "/slos"), ("h", "/health"), ("t", "/traces")):
        press("g")
        press(key)
        reader.page.wait_for_url(f"**{path}*")
        reader.settle()
    press("/")
    assert reader.page.evaluate("document.activeElement.hasAttribute('data-search')")
    press("Escape")
    press("?")
    reader.page.get_by_role("dialog", name="Shortcuts").wait_for()
    press("Escape")
    reader.page.get_by_role("dialog").wait_for(state="hidden")
    press("j")
    press("j")
    press("k")
    outline = reader.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    assert reader.page.evaluate("document.activeElement === document.querySelector('[data-row]')")
    press("Enter")
    reader.page.wait_for_url("**/trace/*")
    reader.settle()
    press("p")
    reader.page.wait_for_url("**from=*")
    press("d")
    assert reader.page.evaluate("document.documentElement.dataset.theme") == "light"


def test_charts_have_a_table(read):
    """Every chart is named for screen readers, and its numbers are there as a table."""
    reader = read()
    reader.open("/model/flight-delay/2013-03")
    titles = reader.page.locator("main figure.panel:has(canvas) > figcaption h2").all_inner_texts()
    assert len(titles) >= 5
    for title in titles:
        chart = reader.page.locator(f"main figure.panel:has(> figcaption h2:text-is('{title}'))")
        assert len(chart.locator("[role=img]").first.get_attribute("aria-label")) > 8
        chart.locator("summary").click()
        chart.get_by_role("button", name="As a table").click()
        assert chart.locator("tbody tr").count() > 0, title


def test_a_link_opens_once(read, viewer, browser):
    """The link of the terminal signs in and hides its token; used again, it says how to get in."""
    reader = read()
    assert "token" not in reader.page.url
    link = viewer.page.link()
    for expected in (200, 401):
        context = browser.new_context()
        assert context.new_page().goto(link).status == expected
        context.close()
