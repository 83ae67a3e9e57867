"""What happens, as readers of the admin API get it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import ClientError, ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from llm_fallback.admin import Listener, Shown, address_of, application, stream
from llm_fallback.status import TargetStatus
from tests.admin.serving import ANSWERED, EJECTED, HANDLED, NOW, ask, example

FELL_BACK = replace(HANDLED, attempts=(ANSWERED,))
PATIENCE_S = 20.0

type Client = TestClient[web.Request, web.Application]
type Event = tuple[str, Any]


def play(scene: Callable[[Client, Shown], Awaitable[None]]) -> None:
    """Let the scene happen at a server of its own, whose clock is the loop's."""

    async def run() -> None:
        shown = example(clock=asyncio.get_running_loop().time)
        async with asyncio.timeout(PATIENCE_S), TestClient(TestServer(application(shown))) as client:
            await scene(client, shown)

    asyncio.run(run())


@asynccontextmanager
async def reading(client: Client) -> AsyncIterator[AsyncIterator[Event]]:
    """The events, for one reader."""
    async with client.get("/api/events") as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        assert response.headers["Cache-Control"] == "no-store"
        yield events(response)


async def events(response: ClientResponse) -> AsyncIterator[Event]:
    name = ""
    async for line in response.content:
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


async def until(stream: AsyncIterator[Event], name: str) -> list[Event]:
    """What comes up to and with the next event of this name."""
    found: list[Event] = []
    async for event in stream:
        found.append(event)
        if event[0] == name:
            return found
    raise AssertionError(f"the stream ended without {name}: {[name for name, _ in found]}")


def test_what_comes_first() -> None:
    """All that `/api/state` has."""

    async def scene(client: Client, _: Shown) -> None:
        async with reading(client) as stream, client.get("/api/state") as response:
            [(name, told)] = await until(stream, "state")
            assert name == "state"
            whole = await response.json()
            assert told.keys() == whole.keys()
            assert (told["timeline"], told["decisions"]) == (whole["timeline"], whole["decisions"])

    play(scene)


@pytest.fixture
def _only_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """No state comes but after something has happened."""
    monkeypatch.setattr(stream, "_STATE_EVERY_S", 2 * PATIENCE_S)


@pytest.mark.usefixtures("_only_news")
def test_what_comes_then() -> None:
    """Each decision, each entry of the timeline, and how things are after it: for every reader."""

    async def scene(client: Client, shown: Shown) -> None:
        async with reading(client) as one, reading(client) as other:
            for stream in (one, other):
                await until(stream, "state")
            shown.history.take(replace(FELL_BACK, id="d2"), NOW)
            shown.history.take(EJECTED, NOW)
            shown.history.take(replace(FELL_BACK, id="d3"), NOW)
            for stream in (one, other):
                got = await until(stream, "state")
                assert [name for name, _ in got] == [*["decision"] * 2, *["timeline"] * 3, "state"]
                assert [told["id"] for name, told in got if name == "decision"] == ["d2", "d3"]
                assert [told["kind"] for name, told in got if name == "timeline"] == [
                    "fallback",
                    "ejected",
                    "fallback",
                ]
                state = got[-1][1]
                assert not state.keys() & {"timeline", "decisions"}
                assert state["targets"][0]["fallbacks_away"] == 3

    play(scene)


def test_an_entry_that_goes_on() -> None:
    """Comes again under its id."""

    async def scene(client: Client, shown: Shown) -> None:
        async with reading(client) as stream:
            await until(stream, "state")
            shown.history.take(FELL_BACK, NOW + 1)
            [*_, (_, entry)] = await until(stream, "timeline")
            assert entry["id"] == 2
            assert entry["text"].endswith("which is ejected (2 requests in 1 s)")

    play(scene)


@pytest.mark.usefixtures("_only_news")
def test_a_busy_proxy() -> None:
    """Of very many decisions, readers get the newest."""

    async def scene(client: Client, shown: Shown) -> None:
        async with reading(client) as stream:
            await until(stream, "state")
            for number in range(100):
                shown.history.take(replace(FELL_BACK, id=str(number)), NOW)
            got = await until(stream, "state")
            assert [told["id"] for name, told in got if name == "decision"] == [
                str(n) for n in range(75, 100)
            ]
            assert len(got) == 25 + 2

    play(scene)


def test_a_state_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if nothing happens, so that a reader knows that somebody is there."""
    monkeypatch.setattr(stream, "_STATE_EVERY_S", 0.1)
    monkeypatch.setattr(stream, "_NEWS_EVERY_S", 0.1)

    async def scene(client: Client, _: Shown) -> None:
        async with reading(client) as stream:
            for _number in range(3):
                assert [name for name, _ in await until(stream, "state")] == ["state"]

    play(scene)


async def tried(client: Client) -> int:
    """The status for one more reader, who leaves at once."""
    async with client.get("/api/events") as response:
        if response.status != 200:
            assert response.headers["Retry-After"] == "5"
            assert "readers already" in await response.text()
        return response.status


async def let_in(client: Client, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Try until there is a place."""
    while True:
        if await tried(client) == 200:
            return
        meanwhile()
        await asyncio.sleep(0.05)


def test_how_many_may_read() -> None:
    """One more is told to come again, and may once another has left."""

    async def scene(client: Client, _: Shown) -> None:
        async with reading(client) as first:
            await until(first, "state")
            others = [await client.get("/api/events") for _ in range(stream.MAX_READERS - 1)]
            assert await tried(client) == 503
            others.pop().close()
            await let_in(client)
            for other in others:
                other.close()

    play(scene)


def test_a_reader_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for it, and in the end it is let go."""
    monkeypatch.setattr(stream, "MAX_READERS", 1)
    monkeypatch.setattr(stream, "_PATIENCE_S", 0.2)

    async def scene(client: Client, shown: Shown) -> None:
        reader, writer = await asyncio.open_connection(client.host, client.port, limit=1)
        writer.write(f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\n\r\n".encode())
        assert await reader.readexactly(15) == b"HTTP/1.1 200 OK"
        assert await tried(client) == 503
        large = replace(FELL_BACK, route="r" * 200_000)

        def much() -> None:
            for _ in range(25):
                shown.history.take(large, NOW)

        await let_in(client, much)
        writer.close()

    play(scene)


def test_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page closes at once, whoever reads."""
    monkeypatch.setattr("llm_fallback.admin.listener._SHUTDOWN_S", 2 * PATIENCE_S)

    async def scene(client: Client, shown: Shown) -> None:
        listener = Listener(application(shown), address_of("127.0.0.1:0"))
        async with client.session.get(f"http://{listener.address}/api/events") as response:
            got = events(response)
            await until(got, "state")
            listener.close()
            assert [name for name, _ in [event async for event in got]] == []

    play(scene)


def test_a_defect_ends_the_stream(caplog: pytest.LogCaptureFixture) -> None:
    """It is not told in the middle of it."""

    def broken() -> Iterable[TargetStatus]:
        raise RuntimeError("sk-in-the-message")

    async def scene(_: Client, shown: Shown) -> None:
        async with TestClient(TestServer(application(replace(shown, status=broken)))) as other:
            with pytest.raises(ClientError):
                await (await other.get("/api/events")).read()

    play(scene)
    assert "the admin page /api/events failed: RuntimeError" in caplog.text
    assert "sk-in-the-message" not in caplog.text


@pytest.mark.parametrize(
    ("method", "host", "site", "status"),
    [
        ("HEAD", "localhost", "same-origin", 405),
        ("GET", "evil.com", "same-origin", 403),
        ("GET", "localhost", "cross-site", 403),
        ("GET", "localhost", "same-site", 403),
    ],
)
def test_who_does_not_get_it(method: str, host: str, site: str, status: int) -> None:
    """What has no body, and pages of others: they could not read it, but keep others from it."""
    got = ask("/api/events", method=method, host=host, headers={"Sec-Fetch-Site": site})
    assert got.status == status
