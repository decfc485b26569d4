"""The report in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from duskbench.benchmarks.report.content import ReportContent
from duskbench.benchmarks.report.render import render_report
from tests.benchmarks.report.conftest import HOSTILE
from tests.needs import need_module, need_tool

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless browser of the system."""
    chromium = need_tool("chromium", "chromium-browser", "google-chrome")
    playwright = need_module("playwright.sync_api")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def report_file(content: ReportContent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_report(content), encoding="utf-8")
    return path


@pytest.fixture
def open_report(browser: Any, report_file: Path) -> Iterator[Callable[..., Any]]:
    """Open the report with these context options; fails on any request, console message or page error."""
    heard: list[str] = []
    contexts = []

    def open_it(path: Path = report_file, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: heard.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: heard.append(f"error: {error}"))
        page.on("request", lambda request: heard.append(f"request: {request.url[:80]}") if _fetches(request) else None)
        page.on("requestfailed", lambda request: heard.append(f"failed: {request.url[:80]}"))
        page.goto(path.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert heard == []


def _fetches(request: Any) -> bool:
    return not request.url.startswith("data:") and not request.is_navigation_request()


def column(page: Any, table: str, number: int) -> list[str]:
    cells: list[str] = page.eval_on_selector_all(
        f"{table} tbody tr > *:nth-child({number})", "cells => cells.map(c => c.dataset.sort)"
    )
    return cells


def test_it_renders_and_runs_nothing_of_the_run(open_report: Callable[..., Any]) -> None:
    page = open_report()
    assert page.title() == "Made by hand <b>&amp; – duskbench"
    assert page.locator("h1").inner_text() == "Made by hand <b>&amp;"
    assert page.evaluate("window.hacked") is None
    assert page.locator("#results .sortable").first.locator("tbody th").nth(3).inner_text() == HOSTILE
    for section in ("results", "history", "pictures", "parts", "curves", "protocol", "environment", "failures"):
        assert page.locator(f"#{section} h2").is_visible()
    assert page.locator("#v-right option").all_inner_texts() == ["Input", "Bright", "Dim", HOSTILE]


def test_the_policy_stops_what_a_run_might_smuggle_in(browser: Any, report_file: Path, tmp_path: Path) -> None:
    page_text = report_file.read_text(encoding="utf-8")
    smuggled = "<script>window.hacked=3</script><img src='http://127.0.0.1:9/x.png'>"
    path = tmp_path / "smuggled.html"
    path.write_text(page_text.replace("<main>", f"<main>{smuggled}"), encoding="utf-8")
    page = browser.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(path.as_uri())
    assert page.evaluate("window.hacked") is None
    assert len([text for text in refused if "Content Security Policy" in text]) == 2
    page.close()


def test_headings_sort_by_click_and_by_key(open_report: Callable[..., Any]) -> None:
    page = open_report()
    table = "#results > .scroll .sortable"
    head = page.locator(f"{table} thead th").nth(1)
    assert head.get_attribute("aria-sort") == "none"
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    # What is absent stays last in both orders.
    assert column(page, table, 2) == ["0.55", "0.42", "0.4", "0.31", ""]
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, table, 2) == ["0.31", "0.4", "0.42", "0.55", ""]
    lower = page.locator(f"{table} thead th").nth(3)
    lower.locator("button").focus()
    page.keyboard.press("Space")
    assert (lower.get_attribute("aria-sort"), head.get_attribute("aria-sort")) == ("ascending", "none")
    assert column(page, table, 4) == ["6.25", "8.5", "9.75", "10.5", ""]
    page.locator(f"{table} thead th").first.locator("button").click()
    names = column(page, table, 1)
    assert names == sorted(names) and names[2] == "broken †"
    # From the middle, too.
    head.locator("button").click()
    assert column(page, table, 2)[-1] == ""


def test_the_line_between_the_pictures_follows_the_mouse(open_report: Callable[..., Any]) -> None:
    page = open_report()
    compare = page.locator("#v-compare")
    compare.scroll_into_view_if_needed()
    area = compare.bounding_box()
    middle = area["y"] + area["height"] / 2
    page.mouse.move(area["x"] + area["width"] * 0.5, middle)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.2, middle, steps=4)
    assert _split(page) == pytest.approx(20, abs=1)
    page.mouse.move(area["x"] - 500, middle)
    assert _split(page) == 0
    page.mouse.up()
    page.mouse.move(area["x"] + area["width"] * 0.7, middle)
    assert _split(page) == 0
    page.mouse.click(area["x"] + area["width"] * 0.8, middle)
    assert _split(page) == pytest.approx(80, abs=1)


def _split(page: Any) -> float:
    left: str = page.evaluate("document.getElementById('v-divider').style.left")
    clip: str = page.evaluate("document.getElementById('v-side-right').style.clipPath")
    # The picture ends where the line is.
    assert clip.removesuffix(")").endswith(f" {left}")
    return float(left.removesuffix("%"))


def test_the_line_follows_the_arrow_keys_and_shows_its_focus(open_report: Callable[..., Any]) -> None:
    page = open_report()
    page.locator("#v-order").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "v-split"
    outline = "getComputedStyle(document.getElementById('v-divider'), '::after').outlineStyle"
    assert page.evaluate(outline) == "solid"
    page.keyboard.press("ArrowRight")
    assert _split(page) == 52
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert _split(page) == 46
    page.keyboard.press("End")
    assert _split(page) == 100
    page.keyboard.press("Home")
    assert _split(page) == 0


def test_boxes_say_what_was_found_missed_and_false(open_report: Callable[..., Any]) -> None:
    page = open_report()
    kinds = "svg => [...svg.querySelectorAll('rect:not(.halo)')].map(r => r.getAttribute('class'))"
    left = lambda: page.eval_on_selector("#v-side-left svg", kinds)  # noqa: E731
    right = lambda: page.eval_on_selector("#v-side-right svg", kinds)  # noqa: E731
    assert left() == ["k-alarm", "k-missed", "k-found"]
    assert right() == ["k-found", "k-found"]
    assert page.locator("#v-counts").inner_text() == (
        "Input: 1 found, 1 missed, 1 false alarm. Bright: 2 found, 0 missed, 0 false alarms."
    )
    rect = page.locator("#v-side-left .k-found")
    assert [rect.get_attribute(name) for name in ("x", "y", "width", "height")] == [
        "49.38%",
        "33.33%",
        "25.63%",
        "34.17%",
    ]
    page.locator("[data-kind=alarm]").uncheck()
    page.locator("[data-kind=truth]").check()
    assert left() == ["k-truth", "k-missed", "k-found"]
    # Above 0.6 only the dog (0.9) is left: the car of Bright (0.5) is missed again.
    page.locator("#v-threshold").fill("0.7")
    assert right() == ["k-truth", "k-missed", "k-found"]
    assert "Bright: 1 found, 1 missed" in page.locator("#v-counts").inner_text()


def test_styles_of_boxes_differ_without_colour(open_report: Callable[..., Any]) -> None:
    page = open_report()
    style = "kind => getComputedStyle(document.querySelector(`.kinds .k-${kind}`)).strokeDasharray"
    assert len({page.evaluate(style, kind) for kind in ("found", "missed", "alarm")}) == 3


def test_another_enhancer_and_another_image(open_report: Callable[..., Any]) -> None:
    page = open_report()
    src = "() => document.querySelector('#v-side-right img').src"
    before = page.evaluate(src)
    page.locator("#v-right").select_option(HOSTILE)
    assert page.locator("#v-tag-right").inner_text() == HOSTILE and page.evaluate(src) != before
    badges = page.locator(".thumb span")
    assert badges.all_inner_texts() == ["+1", "−1", "±0"]
    page.locator("#v-order").select_option("worst")
    assert badges.all_inner_texts() == ["−1", "±0", "+1"]
    assert page.locator("#v-facts").inner_text() == "2015_00002 · lighting: Low · outdoors"
    page.locator("#v-right").select_option("Dim")
    assert page.locator("#v-side-right .absent").inner_text() == "No picture of Dim: It <b>failed</b> here."
    page.locator(".thumb").nth(2).click()
    assert page.locator("#v-facts").inner_text().startswith("2015_00001")
    assert page.locator(".thumb[aria-pressed=true]").count() == 1


def test_break_downs_and_curves_are_chosen(open_report: Callable[..., Any]) -> None:
    page = open_report()
    parts = page.locator("#parts .strips:visible")
    assert parts.count() == 3
    page.get_by_role("button", name="By lighting").click()
    assert parts.locator("caption b").all_inner_texts() == ["Low", "Strong"]
    assert "55.0" in parts.first.inner_text()
    page.locator("#parts").get_by_role("button", name="Clearness").click()
    assert parts.count() == 2 and "0.625" in parts.first.inner_text()
    caption = page.locator("#results figcaption:visible").first
    assert caption.inner_text().startswith("Change of mAP against Input")
    page.locator("#results").get_by_role("button", name="Haze <i>", exact=True).click()
    assert caption.inner_text().startswith("Change of Haze <i> against Input")
    assert page.locator(".curve:visible figcaption").inner_text().startswith("car")
    page.locator("#curve-class").select_option(label="dog (4 objects)")
    assert page.locator(".curve:visible figcaption").inner_text().startswith("dog")
    lines = page.locator(".curve:visible path.line:visible")
    drawn = lines.count()
    page.locator("#curves .legend input[value=Bright]").uncheck()
    assert lines.count() == drawn - 1


def test_another_detector(open_report: Callable[..., Any], two: ReportContent, tmp_path: Path) -> None:
    path = tmp_path / "two.html"
    path.write_text(render_report(two), encoding="utf-8")
    page = open_report(path)
    curves = page.locator("#curves .curve:visible")
    assert curves.count() == 1
    page.locator("#curves").get_by_role("button", name="shapes <u>").click()
    page.locator("#curve-class").select_option(label="dog (4 objects)")
    assert curves.count() == 1 and curves.locator("figcaption").inner_text().startswith("dog")
    assert page.locator("#curves .choice.on").get_attribute("data-key") == "shapes <u>"
    assert page.locator("#v-counts").inner_text().startswith("Input: 1 found, 1 missed, 1 false alarm.")
    page.locator("#v-detector").select_option(label="shapes <u>")
    assert page.locator("#v-counts").inner_text().startswith("Input: 0 found, 2 missed, 0 false alarms.")
    assert page.locator("#v-threshold-out").inner_text() == "0.20"


def test_one_detector_needs_no_switch(open_report: Callable[..., Any]) -> None:
    page = open_report()
    assert not page.locator("#v-detectors").is_visible()
    assert page.locator("#curves .segments").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_colour_schemes_and_the_switch(open_report: Callable[..., Any], scheme: str) -> None:
    page = open_report(color_scheme=scheme)
    ground = "getComputedStyle(document.body).backgroundColor"
    light, dark = "rgb(253, 253, 252)", "rgb(21, 23, 26)"
    first, second = (light, dark) if scheme == "light" else (dark, light)
    assert page.evaluate(ground) == first
    page.locator("#theme").click()
    assert page.evaluate(ground) == second
    page.locator("#theme").click()
    assert page.evaluate(ground) == first


@pytest.mark.parametrize("width", [320, 360, 768, 1400])
def test_no_page_is_wider_than_its_screen(open_report: Callable[..., Any], width: int) -> None:
    page = open_report(viewport={"width": width, "height": 740})
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    small = page.evaluate(
        "[...document.querySelectorAll('button, select, .thumb')].filter(e => e.checkVisibility())"
        ".filter(e => e.getBoundingClientRect().height < 24).length"
    )
    assert small == 0


def test_text_stands_out_from_its_ground(open_report: Callable[..., Any]) -> None:
    for scheme in ("light", "dark"):
        page = open_report(color_scheme=scheme)
        ratios = page.evaluate(
            """() => {
              const parse = (text) => text.match(/[0-9.]+/g).slice(0, 3).map(Number);
              const luminance = (rgb) => rgb.map((v) => v / 255)
                .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
                .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
              const ground = luminance(parse(getComputedStyle(document.body).backgroundColor));
              return ["body", ".small", ".interval", ".facts", "a", ".n-red.verdict", ".n-green.verdict", ".mark"]
                .map((one) => luminance(parse(getComputedStyle(document.querySelector(one)).color)))
                .map((ink) => (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05));
            }"""
        )
        assert min(ratios) >= 4.5, (scheme, ratios)


def test_without_scripts_everything_but_pictures_is_there(open_report: Callable[..., Any]) -> None:
    page = open_report(java_script_enabled=False)
    # Three classes by mAP, two lightings by each of three scores, and a chart of differences for each score.
    assert page.locator("#parts .strips:visible").count() == 9
    assert page.locator(".forest:visible").count() == 3
    assert page.locator(".curve:visible").count() == 3
    assert not page.locator(".viewer").is_visible() and not page.locator("#theme").is_visible()
    assert "The pictures need JavaScript" in page.locator("#pictures").inner_text()


def test_a_report_without_pictures_has_no_errors(
    open_report: Callable[..., Any], content: ReportContent, tmp_path: Path
) -> None:
    path = tmp_path / "bare.html"
    bare = replace(content, shown=(), pictures=(), detectors=(), breakdowns=(), history=())
    path.write_text(render_report(bare), encoding="utf-8")
    page = open_report(path)
    assert page.locator("#pictures").count() == 0
    page.locator("#results th button").first.click()
    assert page.locator("#results th").first.get_attribute("aria-sort") == "ascending"


def test_it_prints(open_report: Callable[..., Any]) -> None:
    page = open_report(color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(253, 253, 252)"
    assert not page.locator("nav").is_visible() and not page.locator(".controls").is_visible()
    assert page.locator("#results .sortable").first.is_visible()
    assert page.pdf()[:4] == b"%PDF"
