"""A page whose proxy has as many readers as it takes looks now and then, and says so."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from llm_fallback.admin import Shown, application, stream
from tests.admin.serving import EJECTED, NOW, example
from tests.support.background import Background
from tests.support.chromium import Page

STATUS = "document.querySelector('#connection-text').textContent"
LOOKING = f"{STATUS} === 'Eight pages are open already: this one looks every 5 s'"

type Client = TestClient[web.Request, web.Application]


@pytest.fixture
def shown() -> Shown:
    """A proxy with two targets, an ejection, and a request that fell back."""
    return example()


@asynccontextmanager
async def serving(made: web.Application) -> AsyncIterator[Client]:
    """Whoever reads beside the page, while the application is served."""
    async with TestClient(TestServer(made)) as client:
        yield client


@pytest.fixture
def client(background: Background, shown: Shown) -> Iterator[Client]:
    """Whoever reads beside the page."""
    with background.serving(serving(application(shown))) as client:
        yield client


@pytest.fixture
def others(background: Background, client: Client) -> list[aiohttp.ClientResponse]:
    """As many readers as the proxy takes: eight, as the page says."""

    async def read() -> list[aiohttp.ClientResponse]:
        return [await client.get("/api/events") for _ in range(stream.MAX_READERS)]

    assert stream.MAX_READERS == 8
    return background.run(read())


def test_a_page_too_many_looks(
    background: Background,
    tab: Page,
    shown: Shown,
    client: Client,
    others: list[aiohttp.ClientResponse],
) -> None:
    """It has all that the others have, later; and follows when there is a place."""
    tab.look()
    tab.navigate(f"http://127.0.0.1:{client.port}/")
    tab.wait_for(LOOKING)
    tab.wait_for("document.querySelector('#headline').textContent.includes('a.com:80')")
    assert not tab.evaluate("document.querySelector('#timeline-none').checkVisibility()")
    assert tab.evaluate("document.querySelectorAll('tbody').length") == 1

    background.call(shown.history.take, replace(EJECTED, host="new.example.com"), NOW + 1)
    tab.wait_for("document.querySelector('#timeline').innerText.includes('new.example.com')")
    assert tab.evaluate(LOOKING)

    background.call(others[0].close)
    tab.wait_for(f"{STATUS} === 'live'")
    tab.navigate("about:blank")
    assert all("status of 503" in complaint for complaint in tab.complaints)
    tab.complaints.clear()


def test_without_a_state_it_says_nothing_of_what_happened(tab: Page, client: Client) -> None:
    """Neither before the first one came, nor where none will."""
    tab.look()
    tab.navigate(f"http://127.0.0.1:{client.port}/page.js")
    silent = "globalThis.EventSource = class { addEventListener() {} close() {} }"
    script = tab.command("Page.addScriptToEvaluateOnNewDocument", source=silent)["identifier"]
    try:
        tab.navigate(f"http://127.0.0.1:{client.port}/")
        tab.wait_for("document.querySelector('#headline').textContent === 'Connecting to the proxy'")
        for word in ("Nothing has happened", "No request yet"):
            assert word not in tab.text("main")
    finally:
        tab.command("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
        tab.navigate("about:blank")
