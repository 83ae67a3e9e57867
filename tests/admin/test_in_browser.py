"""The admin page and its API in a real browser: its own page may do everything, all others nothing."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from llm_fallback.admin import application
from tests.admin.serving import EJECTED, NOW, Done, example
from tests.support.background import Background
from tests.support.chromium import CHROMIUM, Page, browsing

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

LIVE = "document.querySelector('#connection').dataset.state === 'live'"
POST = "{method: 'POST', headers: {'Content-Type': '%s'}, mode: '%s', body: '{}'}"
TRIED = "fetch('%s', %s).then(answer => answer.type, error => error.name)"


@pytest.fixture(scope="module")
def tab(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One browser for all."""
    with browsing(background, tmp_path_factory.mktemp("chromium")) as tab:
        yield tab


@asynccontextmanager
async def serving(made: web.Application) -> AsyncIterator[str]:
    """Its address while it is served."""
    async with TestServer(made) as server:
        yield f"http://127.0.0.1:{server.port}"


def foreign() -> web.Application:
    """A page of another port of this machine."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>other</title>", content_type="text/html")

    made = web.Application()
    made.router.add_get("/", page)
    return made


def test_the_page_itself(background: Background, tab: Page) -> None:
    """It runs under its policy, shows what happens, and may act."""
    shown = example()
    with background.serving(serving(application(shown))) as address:
        tab.complaints.clear()
        tab.navigate(f"{address}/")
        tab.wait_for(LIVE)
        assert "a.com:80" in tab.text("#headline")

        background.call(shown.history.take, replace(EJECTED, host="new.example.com"), NOW + 1)
        tab.wait_for("document.querySelector('#timeline').innerText.includes('new.example.com')")

        assert tab.evaluate(
            f"fetch('/api/actions/reload', {POST % ('application/json', 'same-origin')})"
            ".then(answer => answer.json())"
        ) == {"message": "did reload"}
        assert tab.complaints == []
        tab.navigate("about:blank")


def test_a_page_of_another_port(background: Background, tab: Page) -> None:
    """It can neither act nor read, by whatever a page can send."""
    done = Done()
    shown = example(actions=done)
    with (
        background.serving(serving(application(shown))) as address,
        background.serving(serving(foreign())) as other,
    ):
        tab.navigate(f"{other}/")
        action = f"{address}/api/actions/reload"
        assert tab.evaluate(TRIED % (action, POST % ("application/json", "cors"))) == "TypeError"
        assert tab.evaluate(TRIED % (action, POST % ("text/plain", "no-cors"))) in ("opaque", "TypeError")
        assert tab.evaluate(TRIED % (f"{address}/api/state", "{}")) == "TypeError"
        assert (
            tab.evaluate(
                f"new Promise(resolve => {{ const source = new EventSource('{address}/api/events');"
                " source.onerror = () => resolve(source.readyState) })"
            )
            == 2
        )
        tab.leave(
            "(() => { const form = document.createElement('form');"
            f" form.method = 'post'; form.enctype = 'text/plain'; form.action = '{action}';"
            " document.body.append(form); form.submit() })()"
        )
        assert tab.evaluate("location.href") == action
        assert "not allowed" in tab.evaluate("document.documentElement.innerText")
        assert done.calls == []
        tab.navigate("about:blank")
