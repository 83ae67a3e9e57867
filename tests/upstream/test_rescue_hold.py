"""What is held, until when, and what becomes of it afterwards."""

import json

import pytest

from llm_fallback.messages import OriginalRequest
from llm_fallback.resources.llmfallbackpolicy import Hold
from llm_fallback.upstream.answers import End
from llm_fallback.upstream.client import BodyBroken
from tests.upstream.exchanging import POST, request
from tests.upstream.rescuing import (
    DONE,
    FAILED,
    GOOD,
    HI,
    JSON,
    KEEP_ALIVE,
    ROLE,
    STOP,
    STREAM,
    delta,
    is_clean,
    policy,
    rescue,
    sse,
    told,
    whole,
)  # fmt: skip
from tests.upstream.world import Reply

WHOLE = policy(hold=Hold.WHOLE_ANSWER)
TOOL = delta(tool_calls=[{"index": 0, "function": {"arguments": '{"a'}}])


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(sse(ROLE, HI, 1.0, BodyBroken()), id="cut"),
        pytest.param(sse(ROLE, HI, 6.0, STOP), id="stall"),
        pytest.param(sse(ROLE, HI, *(2.0, KEEP_ALIVE) * 5, STOP), id="keep-alive-is-a-stall"),
        pytest.param(sse(ROLE, HI), id="no-end"),
        pytest.param(sse(ROLE, TOOL, STOP, DONE), id="broken-tool-call"),
        pytest.param(sse(ROLE, HI, 1.0, FAILED), id="error"),
    ],
)
def test_a_whole_answer_is_rescued(reply: Reply) -> None:
    """Though it had begun; the client gets the other one in one go, and nothing of this one."""
    story = rescue(reply, sse(ROLE, HI, 4.0, STOP, 4.0, DONE), given=WHOLE)

    assert (story.places, story.bodies, story.ends) == (
        ["a.com", "b.com"],
        [ROLE + HI + STOP + DONE],
        [End.COMPLETE],
    )
    assert story.world.health_changes == ["-a.com:80"]
    assert is_clean(story)


@pytest.mark.parametrize("arguments", ['{"city": "Ber', "Berlin"])
def test_a_broken_tool_call_in_json(arguments: str) -> None:
    """Is as broken as in a stream; where answers are not held as a whole, nobody looks."""
    call = {"id": "c", "function": {"name": "weather", "arguments": arguments}}
    broken = whole(json.dumps({"choices": [{"message": {"tool_calls": [call]}}]}).encode())
    held = rescue(broken, GOOD[False], given=WHOLE, requests=(POST,))
    lost = rescue(broken, broken, given=WHOLE, requests=(POST,))

    assert (held.places, held.statuses) == (["a.com", "b.com"], [200])
    assert told(held).reasons == ("a.com:80: cut-answer",)
    assert (lost.statuses, lost.flags, lost.ends) == ([503], {"UC"}, [End.COMPLETE])
    assert rescue(broken, requests=(POST,)).places == ["a.com"]


def test_the_end_of_a_whole_answer_is_its_own() -> None:
    """What the provider does with the connection afterwards is of no interest."""
    story = rescue(sse(ROLE, HI, STOP, DONE, 4.0), given=WHOLE)

    assert (story.places, story.ends, story.world.health_changes) == (["a.com"], [End.COMPLETE], [])


@pytest.mark.parametrize(
    ("body", "after"),
    [
        pytest.param((HI, 1.0, BodyBroken()), ["-a.com:80"], id="cut"),
        pytest.param((HI, 6.0, STOP), ["-a.com:80"], id="stall"),
        pytest.param((HI, *(KEEP_ALIVE, 2.0) * 5), ["-a.com:80"], id="keep-alive-only"),
    ],
)
def test_a_death_after_the_first_token(
    body: tuple[bytes | float | BodyBroken, ...], after: list[str]
) -> None:
    """Is passed on as the break it is, and counts; nobody else is asked."""
    story = rescue(sse(ROLE, *body))

    assert (story.places, story.statuses, story.ends) == (["a.com"], [200], [End.BROKEN])
    assert story.bodies[0].startswith(ROLE + HI)
    assert (story.world.health_changes, DONE in story.bodies[0]) == (after, False)
    assert is_clean(story)


def test_progress_keeps_a_stream_alive() -> None:
    """However long it takes; the policy's deadline is over long before its end."""
    story = rescue(sse(ROLE, *(HI, 4.0) * 9, STOP, DONE), given=policy(deadline_s=20.0))

    assert (story.ends, story.bodies) == ([End.COMPLETE], [ROLE + HI * 9 + STOP + DONE])
    assert story.events[0].duration_s == pytest.approx(36.0, abs=0.01)


@pytest.mark.parametrize(
    ("asked", "reply"),
    [
        pytest.param(request("HEAD"), whole(), id="head"),
        pytest.param(request("GET"), whole(b'{"error": "of an old job"}'), id="get"),
        pytest.param(POST, Reply(204, JSON), id="204"),
        pytest.param(POST, Reply(302, JSON, (b"x",)), id="redirect"),
        pytest.param(POST, Reply(200, (*JSON, ("content-encoding", "gzip")), (b"x",)), id="encoded"),
        pytest.param(POST, Reply(200, (("content-type", "text/html"),), (b"x",)), id="html"),
        pytest.param(POST, Reply(200, (), (b"x", 4.0, b"y")), id="no-type"),
    ],
)  # fmt: skip
def test_what_is_no_completion(asked: OriginalRequest, reply: Reply) -> None:
    """Is not judged."""
    story = rescue(reply, requests=(asked,))

    assert (story.places, story.statuses, story.ends) == (["a.com"], [reply.result], [End.COMPLETE])
    assert story.world.health_changes == []


def test_large_requests_are_not_rescued() -> None:
    """And this is said."""
    story = rescue(503, given=policy(max_request_bytes=3))

    assert (story.statuses, story.places) == ([503], ["a.com"])
    assert (told(story).is_too_large, told(story).is_spent, story.header("x-should-retry")) == (
        True,
        False,
        None,
    )
    assert is_clean(story)
    assert rescue(503, GOOD[True], given=policy(max_request_bytes=len(STREAM.body))).statuses == [200]
