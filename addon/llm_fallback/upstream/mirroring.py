"""Copies of a request for those who only watch: sent once, their answers thrown away.

As in Envoy, a copy counts for the endpoint that takes it, and nobody waits for it.
"""

import asyncio
from contextlib import suppress

from llm_fallback.config.routes import Retries
from llm_fallback.config.snapshot import Target
from llm_fallback.messages import Outgoing
from llm_fallback.outlier import Endpoint
from llm_fallback.upstream.attempts import Answered, Attempts, Limits
from llm_fallback.upstream.client import BodyBroken
from llm_fallback.upstream.shared import LostAttempt, Shared

_ONCE = Retries(0, frozenset())
_SUFFIX = "-shadow"


def as_copy(outgoing: Outgoing, target: Target) -> Outgoing:
    """The request with Envoy's mark in its Host header; an LLM provider gets its own name instead."""
    if target.provider:
        return outgoing
    host = next((value for name, value in outgoing.headers if name.lower() == "host"), "")
    name, colon, port = host.partition(":")
    return outgoing.with_header("Host", f"{name}{_SUFFIX}{colon}{port}")


async def send_copy(shared: Shared, target: Target, outgoing: Outgoing, timeout_s: float | None) -> None:
    """Send the copy and read its answer to the end."""
    deadline = None if timeout_s is None else shared.clock() + timeout_s
    attempts = Attempts(shared, target, Limits(_ONCE, deadline), _Unwatched())
    answer = await attempts.run(as_copy(outgoing, target))
    if isinstance(answer, Answered):
        left = None if deadline is None else max(0.0, deadline - shared.clock())
        with suppress(TimeoutError):
            async with asyncio.timeout(left):
                await _drain(answer)


async def _drain(answer: Answered) -> None:
    try:
        with suppress(BodyBroken):
            while not answer.response.is_complete:
                await answer.response.read()
    finally:
        answer.response.release()


class _Unwatched:
    """Nobody is told of copies."""

    def attempting(self, outgoing: Outgoing, target: Target, endpoint: Endpoint) -> None:
        """Nothing follows from it."""

    def lost(self, attempt: LostAttempt) -> None:
        """Nor from this."""
