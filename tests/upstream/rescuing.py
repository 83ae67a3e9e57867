"""Requests under a policy, and the answers that providers give to them."""

import json
from dataclasses import replace
from typing import Any

from llm_fallback.config.destination import Destination
from llm_fallback.config.rescue import Limits, Link, RescuePolicy
from llm_fallback.config.routes import Retries, Route
from llm_fallback.events import Rescued
from llm_fallback.messages import OriginalRequest
from llm_fallback.retry import Failure
from llm_fallback.upstream.client import BodyBroken
from tests.support.policies import compiled
from tests.upstream.exchanging import POST, Story, play, rule, to
from tests.upstream.world import EJECTS, Reply, target

ALL = frozenset(
    {
        "connect-failure", "reset", "5xx", "response-timeout", "first-token-timeout", "error-answer",
        "empty-answer", "invalid-answer", "cut-answer",
    }
)  # fmt: skip
LIMITS = Limits(response_headers_s=30.0, first_token_s=10.0, stall_s=5.0)
A, B, C = (target(f"{name}.com", outlier=EJECTS) for name in "abc")
STREAM = replace(POST, body=b'{"stream": true}')
NO_RETRIES = Retries(0, frozenset())
SSE = (("content-type", "text/event-stream"),)
JSON = (("content-type", "application/json"),)


def event(value: object) -> bytes:
    """An event of a stream."""
    return b"data: " + (value if isinstance(value, str) else json.dumps(value)).encode() + b"\n\n"


def delta(finish: str | None = None, **fields: object) -> bytes:
    """An event of a chat completion."""
    return event({"choices": [{"delta": fields, "finish_reason": finish}]})


ROLE, HI, STOP, DONE = delta(role="assistant"), delta(content="Hi"), delta("stop"), event("[DONE]")
KEEP_ALIVE = b": keep-alive\n\n"
FAILED = event({"error": {"message": "overloaded"}})
WORD = b'{"choices": [{"message": {"content": "Hi"}}]}'


def sse(*body: bytes | float | BodyBroken, **more: Any) -> Reply:
    """An answer that streams events."""
    return Reply(200, SSE, body, **more)


def whole(*body: bytes | float | BodyBroken, **more: Any) -> Reply:
    """An answer in one piece of JSON."""
    return Reply(200, JSON, body, **more)


GOOD = {True: sse(ROLE, HI, STOP, DONE), False: whole(WORD)}
"""By whether it is a stream."""


def policy(**more: Any) -> RescuePolicy:
    """A policy that rescues everything; `chain` are hosts."""
    more["chain"] = tuple(Link(Destination(host)) for host in more.get("chain", ()))
    given: dict[str, Any] = {"failures": ALL, "codes": frozenset({429}), "limits": LIMITS} | more
    return compiled(**given)


def rescuing(given: RescuePolicy | None = None, *, fallback: str = "b.com", **more: Any) -> Route:
    """A rule for a.com with a fallback, and a policy."""
    more = {"retries": NO_RETRIES} | more
    return rule(to("a.com", fallback=fallback), rescue=policy() if given is None else given, **more)


def rescue(
    *script: Reply | int | Failure,
    given: RescuePolicy | None = None,
    requests: tuple[OriginalRequest, ...] = (STREAM,),
    **more: Any,
) -> Story:
    """Requests to a.com, with b.com as its fallback, and c.com beside them."""
    return play((A, B, C), (rescuing(given),), *script, requests=requests, **more)


def told(story: Story) -> Rescued:
    """What was said of the rescue of the last request."""
    found = story.events[-1].rescue
    assert found
    return found


def is_clean(story: Story, *, but: int = 0) -> bool:
    """Whether nothing is left of the requests: no response that is open, but some, no budget, no trial."""
    world = story.world
    still_open = sum(not response.is_released for response in world.responses)
    trials = sum(trial.is_under_way for trial in world.readmission._trials.values())
    return (still_open, world.budget.requests, world.budget.attempts, trials) == (but, 0, 0, 0)
