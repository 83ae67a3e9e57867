"""The commit point: what is held before it, and what is passed on from it."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support import answers
from tests.support.answers import DONE, delta, events
from tests.support.background import Background, seconds, wait_until
from tests.support.certificates import Authority
from tests.support.clients import http_client
from tests.support.provider import SSE_HEAD, Behaviour, Exchange, Feed, chunk
from tests.support.proxy import Setting
from tests.support.rescued import (
    PRIMARY,
    SAID_BY_FALLBACK,
    STREAM,
    URL,
    WHOLE,
    Mesh,
    Targets,
    rescuing,
)

STALL_S = 4.0
LIMITS = {"responseHeaders": "5s", "firstToken": "5s", "stall": f"{STALL_S}s"}
ROLE = delta({"role": "assistant", "content": ""})
FIRST, SECOND, STOP = delta({"content": "one"}), delta({"content": " two"}), delta({}, "stop")
PATIENCE_S = 25.0


@pytest.fixture(scope="module", name="targets")
def running(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Targets]:
    """A policy that holds up to the first content."""
    mesh = Mesh(primary=answers.good(), spec={"limits": LIMITS})
    with rescuing(mesh, background, authority, setting, tmp_path_factory.mktemp("first")) as targets:
        yield targets


@pytest.fixture(scope="module", name="cautious")
def holding_all(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Targets]:
    """A policy that holds the whole answer."""
    failures = ["cut-answer", "invalid-answer", "empty-answer", "first-token-timeout"]
    mesh = Mesh(
        primary=answers.good(),
        spec={"limits": LIMITS, "hold": "WholeAnswer", "rescue": {"failures": failures}},
    )
    with rescuing(mesh, background, authority, setting, tmp_path_factory.mktemp("whole")) as targets:
        yield targets


def sending(*pieces: bytes, stays: bool = False, ends: bool = False) -> Behaviour:
    """Send these events; then end as one should, stay, or close the connection."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send(SSE_HEAD + b"".join(map(chunk, pieces)))
        if ends:
            await exchange.send(chunk(b""))
        elif stays:
            await exchange.hung_up()
        else:
            exchange.close()

    return behave


def read_to_the_end(pieces: Iterator[bytes]) -> tuple[bytes, bool]:
    """What still comes, and whether it breaks off."""
    received = b""
    try:
        for piece in pieces:
            received += piece
    except httpx.RemoteProtocolError:
        return received, True
    return received, False


def keeping_alive(*pieces: bytes) -> Behaviour:
    """Send these events, and from then on nothing but comments."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send(SSE_HEAD + b"".join(map(chunk, pieces)))
        await answers.keep_alive(exchange)

    return behave


SILENT = {
    "nothing": b"",
    "role": ROLE,
    "comment": b": OPENROUTER PROCESSING\n\n",
    "ping": b'event: ping\ndata: {"type":"ping"}\n\n',
    "empty-delta": delta({"content": ""}),
    "usage": b'data: {"choices":[],"usage":{"total_tokens":1}}\n\n',
    "half-an-event": FIRST[:-1],
}


@pytest.mark.parametrize("url", [URL, URL.replace("http:", "https:")], ids=["h1", "h2"])
@pytest.mark.parametrize("label", SILENT)
def test_what_says_nothing_is_held(targets: Targets, label: str, url: str) -> None:
    """The provider dies after it, and the client gets another's answer from its beginning."""
    targets.primary.behaviour = sending(*filter(None, [SILENT[label]]))
    with http_client(targets.proxy, http2=url.startswith("https")) as client:
        answer = client.post(url, content=STREAM)
    assert (answer.status_code, answer.content) == (200, b"".join(events(SAID_BY_FALLBACK)))


def test_what_follows_is_passed_on_event_by_event(background: Background, targets: Targets) -> None:
    """The provider sends each event only when the client has the one before; nothing is lost of the start."""
    feed = Feed(background)
    targets.primary.behaviour = feed
    with http_client(targets.proxy) as client:
        feed.send(SSE_HEAD)
        feed.event(ROLE)
        feed.event(FIRST)
        with client.stream("POST", URL, content=STREAM) as response:
            pieces = response.iter_raw()
            received = b""
            for expected in (ROLE + FIRST, SECOND, STOP, DONE):
                while not received.endswith(expected):
                    received += next(pieces)
                feed.event({ROLE + FIRST: SECOND, SECOND: STOP, STOP: DONE}.get(expected, b""))
            feed.done()
            received += b"".join(pieces)
    assert received == ROLE + FIRST + SECOND + STOP + DONE


@pytest.mark.parametrize("url", [URL, URL.replace("http:", "https:")], ids=["h1", "h2"])
@pytest.mark.parametrize("end", [Feed.close, Feed.reset], ids=["close", "reset"])
def test_a_death_after_the_commit_is_a_break(
    background: Background, targets: Targets, url: str, end: object
) -> None:
    """The client keeps what it has; there is no clean end and no [DONE] that the provider did not send."""
    feed, before = Feed(background), len(targets.fallback.requests)
    targets.primary.behaviour = feed
    feed.send(SSE_HEAD)
    feed.event(FIRST)
    received = b""
    with (
        http_client(targets.proxy, http2=url.startswith("https")) as client,
        client.stream("POST", url, content=STREAM) as response,
    ):
        pieces = response.iter_raw()
        while not received.endswith(FIRST):
            received += next(pieces)
        end(feed)  # type: ignore[operator]
        rest, is_broken = read_to_the_end(pieces)
    assert (received + rest, is_broken) == (FIRST, True)
    assert len(targets.fallback.requests) == before


STALLING = {"still": sending(FIRST, stays=True), "comments": keeping_alive(FIRST)}


@pytest.mark.parametrize("label", STALLING)
def test_a_stall_after_the_commit_is_a_break(targets: Targets, label: str) -> None:
    """Comments do not count as progress; the provider's connection is closed."""
    targets.primary.behaviour = STALLING[label]
    began = seconds()
    with http_client(targets.proxy) as client, client.stream("POST", URL, content=STREAM) as response:
        received, is_broken = read_to_the_end(response.iter_raw())
    assert is_broken
    assert STALL_S <= seconds() - began < PATIENCE_S
    assert received.startswith(FIRST)
    assert DONE not in received
    exchange = targets.primary.exchanges[-1]
    wait_until(exchange.ended.is_set, "the provider's connection is closed", within_s=PATIENCE_S)


CUT = {
    "cut": sending(ROLE, FIRST),
    "no-end": sending(ROLE, FIRST, ends=True),
    "inside-an-event": sending(ROLE, FIRST, SECOND[:-9], ends=True),
    "stall": sending(ROLE, FIRST, stays=True),
    "stall-with-comments": keeping_alive(ROLE, FIRST),
    "cut-tool-call": answers.cut_tool_call,
    "broken-tool-call": answers.broken_tool_call,
    "empty": answers.empty_answer,
}


@pytest.mark.parametrize("label", CUT)
def test_a_whole_answer_is_held(cautious: Targets, label: str) -> None:
    """Whatever comes of a stream after its first content, the client gets another's from the beginning."""
    cautious.primary.behaviour = CUT[label]
    with http_client(cautious.proxy) as client:
        answer = client.post(URL, content=STREAM)
    assert (answer.status_code, answer.content) == (200, b"".join(events(SAID_BY_FALLBACK)))
    assert answer.headers["x-llm-fallback-reason"].startswith(f"{PRIMARY}:80: ")


def test_a_slow_stream_that_goes_on_is_no_stall(background: Background, cautious: Targets) -> None:
    """Each event begins the time anew, so that the whole may take several times as long."""
    del background

    async def slow(exchange: Exchange) -> None:
        await exchange.send(SSE_HEAD)
        for piece in events():
            await exchange.send(chunk(piece))
            await answers.pause(STALL_S / 8)
        await exchange.send(chunk(b""))

    cautious.primary.behaviour = slow
    began = seconds()
    with http_client(cautious.proxy) as client:
        answer = client.post(URL, content=STREAM)
    assert answer.content == b"".join(events())
    assert seconds() - began > STALL_S


def test_blank_lines_before_json_are_no_progress(cautious: Targets) -> None:
    """They are the comments of answers that are no streams: the limits go on."""
    cautious.primary.behaviour = answers.only_keep_alive
    with http_client(cautious.proxy) as client:
        answer = client.post(URL, content=WHOLE)
    assert (answer.status_code, answer.content) == (200, answers.whole(SAID_BY_FALLBACK))
