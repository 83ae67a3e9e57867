"""Of endpoints that are gone, an engine remembers nothing, not even that they came back once."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from llm_fallback.config.snapshot import Target
from llm_fallback.events import Event, Returned
from llm_fallback.outlier import Endpoint
from llm_fallback.upstream.engine import Engine
from tests.upstream.exchanging import snapshot
from tests.upstream.world import target

HERE, GONE = Endpoint("127.0.0.1", 80), Endpoint("10.0.0.9", 80)
NAMED = target("a.com", "127.0.0.1", per_address=True)
WRITTEN = target("a.com", "127.0.0.1")


async def dns_answers(engine: Engine) -> None:
    """DNS says where the target is now."""
    assert await engine.discovery.endpoints(NAMED) == (HERE,)


async def reload(engine: Engine) -> None:
    """The configuration is read again, and names fewer endpoints."""
    engine.adopt(snapshot((WRITTEN,), ()))


@pytest.mark.parametrize(
    ("before", "change"),
    [
        pytest.param(NAMED, dns_answers, id="dns"),
        pytest.param(target("a.com", "127.0.0.1", "10.0.0.9"), reload, id="reload"),
    ],
)
def test_who_is_gone_is_forgotten(
    before: Target, change: Callable[[Engine], Coroutine[Any, Any, None]]
) -> None:
    """Who stays is still on probation; of who was out, it is told."""

    events: list[Event] = []

    async def main() -> list[bool]:
        engine = Engine(
            clock=lambda: 0.0, wall_clock=lambda: 0.0, rng=random.Random(0), on_event=events.append
        )
        engine.adopt(snapshot((before,), ()))
        for endpoint in (HERE, GONE):
            engine.readmission.returned((before.key, endpoint), now=0.0)
            engine.health.hold_off(before, endpoint, seconds=300.0, now=0.0)
        await change(engine)
        known = [bool(engine.readmission.begin((before.key, endpoint))) for endpoint in (HERE, GONE)]
        engine.close()
        return known

    assert asyncio.run(main()) == [True, False]
    assert events == [Returned("a.com", 80, "10.0.0.9:80", 0.0, is_gone=True)]
