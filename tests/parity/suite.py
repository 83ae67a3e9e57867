"""Plays scenarios on both players and compares; a difference that a second play does not confirm is chance.

Chance is real on Envoy's side: an ejection is decided by one thread and carried out by another, so an attempt
in the millisecond after it may still go to the ejected endpoint.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from tests.parity.compare import differences
from tests.parity.driver import Play
from tests.parity.mesh import documents
from tests.parity.players import AddonPlayer, EnvoyPlayer, Player
from tests.parity.scenario import Record, Scenario
from tests.parity.upstream import Upstream
from tests.support.proxy import Setting

PLAYS = 3
AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Result:
    """The last play of a scenario on both; `chances` are the differences of the play before, if any."""

    scenario: Scenario
    envoy: Record
    ours: Record
    differences: tuple[str, ...]
    chances: tuple[str, ...] = ()


def run(scenarios: Sequence[Scenario], folder: Path, setting: Setting) -> dict[str, Result]:
    """The results by the scenarios' names."""
    results: dict[str, Result] = {}
    left = list(scenarios)
    for number in range(1, PLAYS + 1):
        if left:
            place = folder / f"play-{number}"
            for result in asyncio.run(_play_all(left, place, setting)):
                name = result.scenario.name
                before = results[name].differences if name in results else ()
                results[name] = replace(result, chances=before)
            left = [scenario for scenario in left if results[scenario.name].differences]
    return results


async def _play_all(scenarios: Sequence[Scenario], folder: Path, setting: Setting) -> list[Result]:
    async with AsyncExitStack() as stack:
        upstreams = [
            [await stack.enter_async_context(Upstream(scenario)) for scenario in scenarios] for _ in range(2)
        ]
        envoy_documents, own_documents = (
            [d for s, u in zip(scenarios, found, strict=True) for d in documents(s, u.ports)]
            for found in upstreams
        )
        envoy = await stack.enter_async_context(EnvoyPlayer(envoy_documents, folder))
        addon = await stack.enter_async_context(AddonPlayer(own_documents, folder, setting))
        limit = asyncio.Semaphore(AT_ONCE)

        async def play(scenario: Scenario, player: Player, upstream: Upstream) -> Record:
            async with limit:
                return await Play(scenario, player, upstream).run()

        async def compare(scenario: Scenario, theirs: Upstream, own: Upstream) -> Result:
            a, b = await asyncio.gather(play(scenario, envoy, theirs), play(scenario, addon, own))
            return Result(scenario, a, b, tuple(differences(scenario, a, b)))

        return await asyncio.gather(*(compare(*pair) for pair in zip(scenarios, *upstreams, strict=True)))
