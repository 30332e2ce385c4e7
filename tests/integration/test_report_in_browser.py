"""The run report in a real browser: headless Chromium, which `.ci/browser` installs."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright, expect
from returns.result import Result

from stageflow import (
    CorrelationIds,
    Pipeline,
    PipelineContext,
    RetryInterceptor,
    Runner,
    StageArtifact,
    StageError,
    StageInputs,
    StageKind,
    StageOutput,
    UnifiedStageSpec,
    fail,
    lift,
    ok,
    skip,
    stage,
)
from stageflow.sinks.recording import RecordingEventSink
from stageflow.testing import run_virtually
from stageflow.views.report import ReportData, as_html, outcome_report, write_report

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
EVIL = "<script>alert(1)</script>"
TITLES = "cells => cells.map(cell => cell.title)"
STAGES = "rows => rows.map(row => row.dataset.stage)"
PHONE = {"width": 375, "height": 812}
DESK = {"width": 1280, "height": 900}


class BusyError(StageError):
    url: str


class Crawl:
    """A run with a failure, a skip, retries and a nested ``.each``, for a virtual clock."""

    def __init__(self) -> None:
        self.tries: dict[int, int] = {}

    def pipeline(self):
        @stage
        async def fetch(inputs: StageInputs[int]) -> Result[StageOutput[Sequence[int]], BusyError]:
            number = inputs.value
            await asyncio.sleep(0.2 + number / 10)
            self.tries[number] = self.tries.get(number, 0) + 1
            if number == 1 and self.tries[number] < 3:
                return fail(BusyError("the server is busy", url="https://a/1", retryable=True))
            if number == 2:
                return skip("robots.txt forbids it")
            inputs.context.emit("bytes.read", {"bytes": number * 100})
            return ok([number, number + 10], artifacts=[StageArtifact("page", f"<b>page {number}</b>")])

        @lift
        async def words(part: int) -> int:
            await asyncio.sleep(0.1)
            return part

        @stage
        async def publish(inputs: StageInputs[object]) -> Result[StageOutput[int], StageError]:
            await asyncio.sleep(0.4)
            try:
                return ok({"index-6": 6}["index-7"])
            except KeyError as error:
                error.add_note("while publishing to staging")
                raise ConnectionError("the cluster is away") from error

        evil = lift(len).named(EVIL)
        site = fetch.using(RetryInterceptor(attempts=3)) | words.each()
        return lift(list).named("discover") | site.named("site").optional().each() | (publish & evil).together()


async def recorded(pipeline, value) -> ReportData:
    sink = RecordingEventSink()
    context = PipelineContext(correlation=CorrelationIds(extra={"tenant": "acme"}))
    async with Runner(sink=sink, on_failure="finish") as runner:
        outcome = await runner.run(pipeline, value, context=context)
    return outcome_report(outcome, pipeline, sink.events)


@pytest.fixture(scope="module")
def report() -> ReportData:
    found = run_virtually(recorded(Crawl().pipeline(), [0, 1, 2, 3]))
    assert found.status == "failed"
    assert {entry.status for entry in found.stages} >= {"ok", "fail", "skip"}
    return found


def specs(count: int):
    def one(number: int) -> UnifiedStageSpec:
        @stage
        async def work(inputs: StageInputs[object]) -> Result[StageOutput[int], StageError]:
            return ok(number)

        after = (f"stage_{number // 2}",) if number else ()
        return UnifiedStageSpec(name=f"stage_{number}", stage=work, kind=StageKind.WORK, dependencies=after)

    return [one(number) for number in range(count)]


@pytest.fixture(scope="module")
def large() -> ReportData:
    """Two thousand stages, no two of them items of one another."""
    return run_virtually(recorded(Pipeline.from_specs(specs(2_000)), 1))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        say = pytest.fail if os.environ.get("STAGEFLOW_REQUIRE_SERVICES") == "1" else pytest.skip
        say("Chromium is not installed. Run .ci/browser.")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS.split())
        yield browser
        await browser.close()


class Opened:
    """A page that is open, with all that the browser complained of or asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", self._dialog)
        page.on("request", lambda request: self.requests.append(request.url))

    async def _dialog(self, dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    async def node(self, name: str):
        return self.page.locator(f'.node[aria-label^="{name}"]')


@pytest.fixture
def open_report(browser: Browser, tmp_path: Path):
    async def opened(report: ReportData, *, size=DESK, colours="light") -> Opened:
        path = tmp_path / "run.html"
        write_report(path, report)
        page = await browser.new_page(viewport=size, color_scheme=colours)
        found = Opened(page)
        await page.goto(path.as_uri())
        await page.wait_for_selector("html[data-ready]", state="attached", timeout=60_000)
        return found

    return opened


async def shown(page: Page) -> str:
    return await page.locator("#details").inner_text()


async def test_a_report_opens_without_a_complaint_and_asks_the_network_for_nothing(report, open_report) -> None:
    opened = await open_report(report)
    await expect(opened.page.locator("h1")).to_have_text(report.pipeline)
    await expect(opened.page.locator(".state")).to_have_text("Failed")
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []


async def test_the_bars_of_the_timeline_match_the_recorded_times(report, open_report) -> None:
    page = (await open_report(report)).page
    await page.locator('.chip[data-status="ok"]').click()  # a filter unfolds items
    total = max(report.duration_ms, *[(entry.start_ms or 0) + entry.duration_ms for entry in report.stages])
    boxes = await page.evaluate(
        """() => [...document.querySelectorAll(".rows .row")].map((row) => {
            const [bar, track] = [".bar", ".track"].map((part) => row.querySelector(part).getBoundingClientRect());
            const shares = [(bar.left - track.left) / track.width, bar.width / track.width];
            return [Number(row.dataset.stage), ...shares, track.width];
        })"""
    )
    assert len(boxes) == sum(entry.status == "ok" for entry in report.stages) > 8
    for number, left, width, track in boxes:
        entry = report.stages[number]
        assert left == pytest.approx((entry.start_ms or 0) / total, abs=1 / track)
        assert width == pytest.approx(max(entry.duration_ms / total, 3 / track), abs=1 / track)


async def test_a_click_on_a_node_shows_that_stage_with_its_error_in_full(report, open_report) -> None:
    opened = await open_report(report)
    await (await opened.node("publish")).click()
    text = await shown(opened.page)
    for part in ("publish", "failed", "the cluster is away", "index-7", "while publishing to staging", "direct cause"):
        assert part in text
    await opened.page.keyboard.press("Escape")
    await expect(opened.page.locator("#details")).to_be_hidden()


async def test_the_items_of_an_each_are_one_node_that_lists_them_worst_first(report, open_report) -> None:
    opened = await open_report(report)
    node = await opened.node("site[].fetch")
    await expect(node).to_have_count(1)
    assert "3 OK" in (await node.text_content() or "")
    assert "1 skipped" in (await node.text_content() or "")
    await node.click()
    text = await shown(opened.page)
    assert re.search(r"4 items", text)
    assert text.index("site[2].fetch") < text.index("site[1].fetch")
    await opened.page.get_by_role("button", name="site[1].fetch").click()
    text = await shown(opened.page)
    for part in ("Attempts", "the server is busy", "bytes.read", "<b>page 1</b>", "page"):
        assert part in text


async def test_keys_alone_reach_a_stage_and_lead_back(report, open_report) -> None:
    page = (await open_report(report)).page
    nodes = page.locator(".node")
    await nodes.first.focus()
    await page.keyboard.press("ArrowRight")
    assert "site[].fetch" in await page.evaluate("document.activeElement.getAttribute('aria-label')")
    await page.keyboard.press("Enter")
    await expect(page.locator("#details-title")).to_be_focused()
    assert "site[].fetch" in await shown(page)
    await page.keyboard.press("Escape")
    assert "site[].fetch" in await page.evaluate("document.activeElement.getAttribute('aria-label')")


async def test_the_tab_key_stops_once_in_the_graph_and_once_in_the_timeline(report, open_report) -> None:
    page = (await open_report(report)).page
    await page.locator("#fit").focus()
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.matches('.node')")
    stops = [await page.evaluate("document.activeElement.className.baseVal ?? document.activeElement.className")]
    while not await page.evaluate("document.activeElement.matches('.rows .row')"):
        await page.keyboard.press("Tab")
        stops.append(
            await page.evaluate("document.activeElement.className.baseVal ?? document.activeElement.className")
        )
        assert len(stops) < 10, stops
    assert sum("node" in stop for stop in stops) == 1
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowRight")
    assert await page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    assert "site[0].fetch" in await shown(page)


async def test_a_search_and_a_status_leave_the_stages_that_match(report, open_report) -> None:
    page = (await open_report(report)).page
    await page.keyboard.press("/")
    await expect(page.locator("#search")).to_be_focused()
    await page.keyboard.type("fetch")
    found = [stage.name for stage in report.stages if "fetch" in stage.name + stage.reason]
    await expect(page.locator("#found")).to_have_text(f"{len(found)} of {len(report.stages)} stages")
    assert sorted(await page.locator(".rows .row .cell.name").evaluate_all(TITLES)) == sorted(found)
    assert await page.locator(".node.dim").count() > 1
    await page.locator('.chip[data-status="skip"]').click()
    skipped = [stage.name for stage in report.stages if stage.name in found and stage.status == "skip"]
    assert await page.locator(".rows .row").count() == len(skipped) < len(found)
    await page.fill("#search", "no such stage")
    await expect(page.locator("#list-note")).to_have_text("No stage matches.")


async def test_every_column_sorts_both_ways(report, open_report) -> None:
    page = (await open_report(report)).page
    await page.fill("#search", "e")
    for key in ("name", "status", "attempts", "duration", "start"):
        head = page.locator(f'[role=columnheader][data-key="{key}"]')
        seen = {}
        for _ in range(2):
            await head.locator("button").click()
            direction = await head.get_attribute("aria-sort")
            seen[direction] = [
                int(row)
                for row in await page.locator(".rows .row").evaluate_all("rows => rows.map(row => row.dataset.stage)")
            ]
        assert seen["ascending"] == seen["descending"][::-1]
        if key == "duration":
            durations = [round(report.stages[number].duration_ms, 3) for number in seen["ascending"]]
            assert durations == sorted(durations, reverse=True)


async def test_colours_follow_the_system_until_the_button_turns_them(report, open_report) -> None:
    page = (await open_report(report, colours="dark")).page
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = await page.evaluate(paper)
    await expect(page.locator("#theme")).to_have_attribute("aria-pressed", "true")
    await page.locator("#theme").click()
    light = await page.evaluate(paper)
    assert [sum(map(int, re.findall(r"\d+", colour)[:3])) > 380 for colour in (dark, light)] == [False, True]
    await expect(page.locator("#theme")).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_text_stands_out_enough_from_what_is_behind_it(colours, report, open_report) -> None:
    page = (await open_report(report, colours=colours)).page
    tones = await page.evaluate(
        """() => {
            const style = getComputedStyle(document.documentElement);
            const names = ["panel", "paper", "ink", "soft", "accent", "ok", "fail", "skip", "cancel"];
            return Object.fromEntries(names.map((name) => [name, style.getPropertyValue("--" + name).trim()]));
        }"""
    )
    for name in ("ink", "soft", "accent", "ok", "fail", "skip", "cancel"):
        for behind in ("panel", "paper"):
            assert contrast(tones[name], tones[behind]) >= 4.5, (name, behind)


def contrast(one: str, other: str) -> float:
    """How much two colours differ in brightness, by WCAG 2.2: 4.5 is enough for text."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_axe_finds_nothing_that_keeps_anybody_out(colours, size, report, open_report) -> None:
    page = (await open_report(report, colours=colours, size=size)).page
    await page.locator("#trouble .link").first.click()
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


async def test_a_phone_has_nothing_to_scroll_sideways(report, open_report) -> None:
    opened = await open_report(report, size=PHONE)
    assert await opened.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    await opened.page.locator("#trouble .link").first.click()
    await expect(opened.page.locator("#details")).to_be_in_viewport()
    assert "the cluster is away" in await shown(opened.page)
    assert await opened.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert opened.complaints == []


async def test_a_stage_that_is_named_as_a_script_does_no_harm(report, open_report) -> None:
    opened = await open_report(report)
    await (await opened.node(EVIL.replace('"', '\\"'))).click()
    assert EVIL in await shown(opened.page)
    own = await opened.page.evaluate("[...document.scripts].map((script) => script.type + script.id)")
    assert sorted(own) == ["", "", "application/jsondata", "text/plainpacked"]
    assert opened.complaints == []


async def test_the_page_runs_no_script_but_its_own(report, browser, tmp_path) -> None:
    tampered = as_html(report).replace("</body>", "<script>document.title = 'taken'</script></body>")
    (tmp_path / "tampered.html").write_text(tampered, encoding="utf-8")
    page = await browser.new_page()
    await page.goto((tmp_path / "tampered.html").as_uri())
    await page.wait_for_selector("html[data-ready]", state="attached")
    assert await page.title() == f"{report.pipeline}: failed"


async def test_two_thousand_stages_open_and_are_searched(large, open_report) -> None:
    opened = await open_report(large)
    page = opened.page
    assert await page.locator(".rows .row").count() == len(large.stages) == 2_000
    await expect(page.locator("#graph-note")).to_contain_text("2,000 nodes")
    await page.fill("#search", "stage_1999")
    await expect(page.locator("#found")).to_have_text("1 of 2,000 stages")
    await page.locator(".rows .row").click()
    assert "stage_1999" in await shown(page)
    assert opened.complaints == []


async def test_a_run_without_its_pipeline_has_no_graph_and_says_why_there_is_no_critical_path(open_report) -> None:
    outcome = await lift(len).run("abc")
    opened = await open_report(outcome_report(outcome))
    await expect(opened.page.locator("#graph")).to_be_hidden()
    await expect(opened.page.locator("#overview")).to_contain_text("pipeline was not given")
    assert opened.complaints == []


async def test_a_link_to_a_stage_opens_on_it(report, browser, tmp_path) -> None:
    write_report(tmp_path / "run.html", report)
    page = await browser.new_page()
    await page.goto(f"{(tmp_path / 'run.html').as_uri()}#publish")
    await page.wait_for_selector("html[data-ready]", state="attached")
    assert "the cluster is away" in await shown(page)


async def test_on_paper_there_is_the_graph_and_every_row(report, open_report) -> None:
    page = (await open_report(report)).page
    await page.emulate_media(media="print")
    await expect(page.locator("#search")).to_be_hidden()
    await expect(page.locator("svg.graph")).to_be_visible()
    assert len(await page.pdf()) > 10_000


async def test_the_critical_path_is_marked_in_the_graph_and_on_the_timeline(report, open_report) -> None:
    page = (await open_report(report)).page
    assert report.critical[-1] == "publish"
    marked = await page.locator(".node.critical").count()
    assert marked == len(report.critical)
    assert await page.locator(".edge.critical").count() >= marked - 1
    listed = await page.locator("#overview .plain .own").all_inner_texts()
    assert tuple(listed[: len(report.critical)]) == report.critical
