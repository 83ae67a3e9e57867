"""One request at one target, from its first attempt to its last."""

from collections.abc import Callable
from typing import Any

from llm_fallback.config.routes import DEFAULT_RETRIES, Retries
from llm_fallback.config.snapshot import Target
from llm_fallback.local_replies import LocalReply
from llm_fallback.messages import Outgoing
from llm_fallback.retry import Failure
from llm_fallback.upstream.attempts import Answered, Attempts, Limits
from tests.upstream.virtual_time import run
from tests.upstream.world import EJECTS, Lowest, Reply, World, target

CHAT = Outgoing("POST", "/chat", (("Host", "a.com"),), b"{}", None)
ALONE = target()
WATCHED = target(outlier=EJECTS)

type Script = tuple[Reply | int | Failure, ...]
type Result = tuple[World, Attempts, LocalReply | Answered]


def retries(attempts: int, *words: str, codes: tuple[int, ...] = (), **more: Any) -> Retries:
    """A policy by the words of `retryOn`."""
    return Retries(attempts, frozenset(words), frozenset(codes), **more)


def attempt(
    script: Script,
    policy: Retries = DEFAULT_RETRIES,
    to: Target = ALONE,
    *,
    outgoing: Outgoing = CHAT,
    timeout_s: float | None = None,
    max_retries: int | None = None,
    rng: Lowest | None = None,
    hash_key: int | None = None,
) -> Result:
    """All attempts of one request, and what came of them."""

    async def main(clock: Callable[[], float]) -> Result:
        world = World(clock, [to], max_retries)
        world.rng = rng or world.rng
        world.replies(*script)
        attempts = Attempts(world, to, Limits(policy, timeout_s), world, hash_key=hash_key)
        return world, attempts, await attempts.run(outgoing)

    return run(main)


def outcome(result: LocalReply | Answered) -> int | str:
    """The status of an answer, or what a local reply says."""
    return result.response.status if isinstance(result, Answered) else result.body.rpartition(": ")[2]
