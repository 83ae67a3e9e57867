"""Faults that a person has injected: everybody else takes them for the provider's."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from llm_fallback.config.rescue import Hedging
from llm_fallback.events import Ejected
from llm_fallback.messages import OriginalRequest
from llm_fallback.overrides import Fault, FaultKind, Place, fault_of
from llm_fallback.upstream.answers import End
from llm_fallback.upstream.attempts import Answered, Attempts, Limits
from tests.support.policies import compiled
from tests.upstream.attempting import ALONE, CHAT, Result, outcome, retries
from tests.upstream.exchanging import POST, Story, request, rule, to
from tests.upstream.exchanging import play as exchanges
from tests.upstream.rescuing import ALL, GOOD, STREAM, policy
from tests.upstream.virtual_time import run
from tests.upstream.world import EJECTS, Reply, World, target

A, B = target("a.com", outlier=EJECTS), target("b.com")
KINDS: list[dict[str, Any]] = [
    {"kind": "status", "status": 503},
    {"kind": "reset"},
    {"kind": "connect-failure"},
    {"kind": "hang"},
]


def attempt(fault: Fault, *script: Reply | int, timeout_s: float | None = None, attempts: int = 0) -> Result:
    """All attempts of one request at a.com."""

    async def main(clock: Callable[[], float]) -> Result:
        world = World(clock, [ALONE], None)
        world.replies(*script)
        world.overrides.inject(Place("a.com"), fault)
        limits = Limits(retries(attempts, "5xx", avoid_tried=False), timeout_s)
        tries = Attempts(world, ALONE, limits, world)
        return world, tries, await tries.run(CHAT)

    return run(main)


def play(
    data: dict[str, Any], *script: Reply | int, asked: OriginalRequest = POST, times: int = 1, **more: Any
) -> Story:
    """Requests to a.com, where the fault is, with a fallback to b.com."""
    return exchanges(
        (A, B),
        (rule(to("a.com", fallback="b.com"), **more),),
        *script,
        requests=(asked,) * times,
        before=lambda world: inject(world, "a.com:80", data),
    )


def inject(world: World, place: str, data: dict[str, Any]) -> None:
    """Set the fault."""
    world.overrides.inject(Place.parse(place), fault_of(data))


def test_a_status_is_an_answer() -> None:
    """With the headers and the body that were wished for; nothing is sent."""
    data = {"kind": "status", "status": 429, "headers": {"retry-after": "20"}, "body": "slow", "delay_s": 2}
    story = play(data)

    assert story.statuses == [429]
    assert (story.header("retry-after"), story.header("content-length")) == ("20", "4")
    assert story.bodies == [b"slow"]
    assert story.ends == [End.COMPLETE]
    assert story.world.sent == []
    (event,) = story.events
    assert [made.result for made in event.attempts] == ["429 (injected)"]
    assert event.attempts[0].duration_s == pytest.approx(2.0, abs=0.01)
    assert event.flags == ()


def test_a_status_has_a_body_of_its_own() -> None:
    """An error as providers write them; an answer to HEAD has none."""
    story = play({"kind": "status", "status": 500})
    assert json.loads(story.bodies[0])["error"]["code"] == 500
    assert story.header("content-type") == "application/json"

    head = play({"kind": "status", "status": 500}, asked=request("HEAD"))
    assert head.bodies == [b""]


@pytest.mark.parametrize("data", KINDS, ids=lambda data: data["kind"])
def test_outlier_detection_and_the_fallback_see_it(data: dict[str, Any]) -> None:
    """The endpoint is ejected, and the next request goes to the fallback."""
    story = play(data, 200, times=2, timeout_s=5.0)

    assert [type(event) for event in story.world.events if isinstance(event, Ejected)] == [Ejected]
    assert story.statuses[1] == 200
    assert story.places == ["b.com"]
    assert story.events[0].attempts[0].result.endswith("(injected)")


@pytest.mark.parametrize("data", [*KINDS, {"kind": "cut"}], ids=lambda data: data["kind"])
def test_a_rescue_goes_on(data: dict[str, Any]) -> None:
    """The client gets the answer of the next target."""
    story = play(data, GOOD[False], rescue=compiled("rescue", "policy.yaml:1", failures=ALL))

    assert story.statuses == [200]
    assert story.places == ["b.com"]


@pytest.mark.parametrize(
    ("kind", "said", "result", "flags"),
    [
        (FaultKind.RESET, "connection termination", "reset (reset before the response) (injected)", {"UC"}),
        (
            FaultKind.CONNECT_FAILURE,
            "remote connection failure",
            "connect-failure (no connection) (injected)",
            {"UF"},
        ),
    ],
)
def test_failures_before_headers(kind: FaultKind, said: str, result: str, flags: set[str]) -> None:
    """They are answered as Envoy answers the provider's own."""
    _, tries, answer = attempt(Fault(kind))

    assert outcome(answer) == said
    assert [made.result for made in tries.made] == [result]
    assert not isinstance(answer, Answered)
    assert {str(flag) for flag in answer.flags} == flags


def test_retries_go_on_when_it_is_spent() -> None:
    """Each attempt is struck by itself."""
    world, tries, answer = attempt(Fault(FaultKind.RESET, count=1), 200, attempts=1)

    assert outcome(answer) == 200
    assert [made.result for made in tries.made] == ["reset (reset before the response) (injected)", "200"]
    assert len(world.sent) == 1
    assert world.overrides.faults == []


def test_a_delay_goes_on_to_the_provider() -> None:
    """Afterwards."""
    world, tries, answer = attempt(Fault(FaultKind.DELAY, delay_s=3.0), 200)

    assert outcome(answer) == 200
    assert [sent.at for sent in world.sent] == [pytest.approx(3.0, abs=0.01)]
    assert [made.result for made in tries.made] == ["200 (injected delay 3 s)"]


def test_a_delay_counts_for_the_time_of_the_request() -> None:
    """A provider that is slow is too slow."""
    world, tries, answer = attempt(Fault(FaultKind.DELAY, delay_s=3.0), 200, timeout_s=2.0)

    assert outcome(answer) == "upstream request timeout"
    assert world.sent == []
    assert tries.made[0].result == "timeout (no response headers in time) (injected delay 3 s)"


def test_a_hang_ends_with_the_time_of_the_request() -> None:
    """It is a timeout of the provider's."""
    _, tries, answer = attempt(Fault(FaultKind.HANG), timeout_s=2.0)

    assert outcome(answer) == "upstream request timeout"
    assert tries.made[0].failure == "timeout"
    assert tries.made[0].duration_s == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize(
    ("asked", "media", "start"),
    [(POST, "application/json", b'{"id"'), (STREAM, "text/event-stream", b"data: {")],
    ids=["whole", "stream"],
)
def test_a_cut_answer_breaks_off(asked: OriginalRequest, media: str, start: bytes) -> None:
    """After its beginning, which fits the request."""
    story = play({"kind": "cut"}, asked=asked)

    assert story.statuses == [200]
    assert story.header("content-type") == media
    assert story.bodies[0].startswith(start)
    assert story.ends == [End.BROKEN]
    assert story.flags == {"UC"}
    assert [type(event) for event in story.world.events if isinstance(event, Ejected)] == [Ejected]


def test_a_cut_answer_to_head() -> None:
    """Has no body either."""
    story = play({"kind": "cut"}, asked=request("HEAD"))

    assert story.bodies in ([], [b""])
    assert story.ends == [End.BROKEN]


def test_a_cut_answer_as_it_was_captured() -> None:
    """With its own body, and no length that would be wrong."""
    data = {"kind": "cut", "headers": {"content-length": "999", "x-a": "b"}, "body": "data: {}\n\n"}
    story = play(data)

    assert story.bodies == [b"data: {}\n\n"]
    assert (story.header("content-length"), story.header("x-a")) == (None, "b")
    assert story.header("content-type") == "text/event-stream"


def test_who_is_given_up_was_struck_all_the_same() -> None:
    """A hedge has the answer, while the first attempt hangs."""
    hedged = replace(policy(), hedging=Hedging(delay_s=1.0))
    story = play({"kind": "hang"}, GOOD[False], rescue=hedged)

    assert [made.result for made in story.events[0].attempts] == ["cancelled (injected)", "200"]


def test_who_is_not_meant_is_not_struck() -> None:
    """The target answers, though its fallback would not."""
    story = exchanges(
        (A, B),
        (rule(to("a.com", fallback="b.com")),),
        200,
        before=lambda world: inject(world, "b.com", {"kind": "reset"}),
    )

    assert story.events[0].attempts[0].result == "200"
