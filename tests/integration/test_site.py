"""The site: it builds without a warning, no link in it is broken, and it works in a real browser, on a phone too."""

from __future__ import annotations

import functools
import importlib
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect
from typing_extensions import override

ROOT = Path(__file__).parents[2]
FLAGS = "--no-sandbox --disable-dev-shm-usage"
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 375, "height": 800}
in_browser = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as CI builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    return folder


class Quiet(SimpleHTTPRequestHandler):
    @override
    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests look at what the browser says."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class Parsed(HTMLParser):
    """What a page leads to, what it loads, and the places in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.places.add(value)
            elif name == "href" and tag == "a" and value:
                self.links.append(value)
            elif name in {"src", "href"} and tag in {"img", "script", "link"} and value:
                self.loaded.append(value)


def parsed(site: Path) -> dict[str, Parsed]:
    """Every page, by its address from the root of the site."""
    pages = {path: "/" + path.relative_to(site).as_posix().removesuffix("index.html") for path in site.rglob("*.html")}
    return {address: Parsed(path.read_text(encoding="utf-8")) for path, address in pages.items()}


def broken(site: Path, pages: dict[str, Parsed], at: str, link: str) -> bool:
    """Whether a link of a page leads nowhere; those to other sites are not followed."""
    target = urlsplit(urljoin(at, link))
    if target.netloc or target.scheme:
        return False
    path = unquote(target.path)
    if path not in pages:
        return not (site / path.removeprefix("/")).is_file()
    return unquote(target.fragment) not in {"", *pages[path].places}


def test_no_link_is_broken(site: Path) -> None:
    pages = parsed(site)
    assert len(pages) > 40
    found = [(at, link) for at, page in pages.items() for link in page.links + page.loaded if at != "/404.html"]
    assert len(found) > 2_000
    assert [(at, link) for at, link in found if broken(site, pages, at, link)] == []


def test_a_link_that_is_broken_would_be_found(site: Path) -> None:
    pages = parsed(site)
    assert broken(site, pages, "/guides/testing/", "../no-such-page/")
    assert broken(site, pages, "/guides/testing/", "../durable-runs/#no-such-place")
    assert not broken(site, pages, "/guides/testing/", "../durable-runs/#the-lease")


def test_no_table_shows_a_backslash_that_was_meant_for_another_reader(site: Path) -> None:
    pages = [path for path in site.rglob("*.html") if "<td>" in path.read_text(encoding="utf-8")]
    assert len(pages) > 10
    assert [path.name for path in pages if re.search(r"<td[^\n]*\\\|", path.read_text(encoding="utf-8"))] == []


PACKAGES = ("", ".codec", ".config", ".durable", ".engines", ".stores", ".testing", ".views", ".views.progress")


@pytest.mark.parametrize("package", [*PACKAGES, ".views.report", ".observability.taxonomy"])
def test_the_reference_has_every_public_name(package: str, site: Path) -> None:
    pages = [page for at, page in parsed(site).items() if at.startswith("/reference/")]
    known = {place.rpartition(".")[2] for page in pages for place in page.places if place.startswith("stageflow.")}
    names: list[str] = importlib.import_module(f"stageflow{package}").__all__
    assert sorted(set(names) - known - {"__version__"}) == []


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loaded = [(at, one) for at, page in parsed(site).items() for one in page.loaded]
    assert [(at, one) for at, one in loaded if urlsplit(one).netloc] == []


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


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    page = await browser.new_page(viewport=DESK)
    yield page
    await page.close()


class TestInABrowser:
    pytestmark = in_browser

    async def test_no_page_has_a_complaint_or_asks_another_host(self, site: Path, address: str, page: Page) -> None:
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(f"{page.url} {message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"{page.url} {error}"))
        page.on("response", lambda answer: answer.status < 400 or complaints.append(f"{answer.status}: {answer.url}"))
        page.on("request", lambda request: request.url.startswith(address) or complaints.append(request.url))
        for at in parsed(site):
            if at != "/404.html":
                await page.goto(address + at.removeprefix("/"))
        assert complaints == []

    async def test_a_search_finds_a_page_and_leads_to_it(self, address: str, page: Page) -> None:
        await page.goto(address)
        await page.keyboard.press("/")
        await page.keyboard.type("idempotency", delay=20)
        found = page.locator(".md-search-result__link", has_text="Durable runs").first
        await expect(found).to_be_visible()
        await found.click()
        await expect(page.locator("h1")).to_contain_text("Durable runs")
        await expect(page.locator("article mark").first).to_have_text("idempotency")

    async def test_a_phone_has_nothing_to_scroll_sideways(self, site: Path, address: str, page: Page) -> None:
        await page.set_viewport_size(PHONE)
        wide: list[tuple[str, int]] = []
        for at in parsed(site):
            await page.goto(address + at.removeprefix("/"))
            width = await page.evaluate("document.documentElement.scrollWidth")
            if width > PHONE["width"]:
                wide.append((at, width))
        assert wide == []

    async def test_the_text_on_a_phone_is_not_small(self, address: str, page: Page) -> None:
        await page.set_viewport_size(PHONE)
        await page.goto(f"{address}tutorial/first-stage/")
        size = await page.evaluate("parseFloat(getComputedStyle(document.querySelector('.md-content p')).fontSize)")
        assert size >= 15

    async def test_a_phone_reaches_every_part_by_its_menu(self, address: str, page: Page) -> None:
        await page.set_viewport_size(PHONE)
        await page.goto(address)
        await page.locator("label.md-header__button[for=__drawer]").click()
        await expect(page.locator(".md-nav--primary .md-nav__link", has_text="Tutorial").first).to_be_in_viewport()

    @pytest.mark.parametrize("colours", ["light", "dark"])
    async def test_colours_follow_the_system(self, colours: str, browser: Browser, address: str) -> None:
        page = await browser.new_page(viewport=DESK, color_scheme=colours)
        await page.goto(address)
        scheme = await page.evaluate("document.body.getAttribute('data-md-color-scheme')")
        await page.close()
        assert scheme == {"light": "default", "dark": "slate"}[colours]
