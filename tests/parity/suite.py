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
from tests.parity.files import scenarios_in
from tests.parity.known import KNOWN
from tests.parity.mesh import documents
from tests.parity.names import NameServer
from tests.parity.players import AddonPlayer, EnvoyPlayer, Player
from tests.parity.scenario import AwaitReturn, Record, Scenario
from tests.parity.upstream import Upstream
from tests.support.certificates import Authority
from tests.support.proxy import Setting

PLAYS = 3
AT_ONCE = 24
_UNSEEN = Path(__file__).with_name("unseen")


@dataclass(frozen=True, slots=True)
class Result:
    """The last play of a scenario on both; `chances` are the differences of the play before, if any."""

    scenario: Scenario
    envoy: Record
    ours: Record
    differences: tuple[str, ...]
    chances: tuple[str, ...] = ()


def unseen() -> list[Scenario]:
    """The scenarios of people who had not seen ours, from YAML as `docs/parity.md` describes it."""
    return [scenario for path in sorted(_UNSEEN.glob("*.yaml")) for scenario in scenarios_in(path)]


def run(scenarios: Sequence[Scenario], folder: Path, setting: Setting) -> dict[str, Result]:
    """The results by the scenarios' names."""
    results: dict[str, Result] = {}
    left = sorted(scenarios, key=_returns, reverse=True)  # who waits most begins first
    for number in range(1, PLAYS + 1):
        if left:
            place = folder / f"play-{number}"
            for result in asyncio.run(_play_all(left, place, setting)):
                name = result.scenario.name
                before = results[name].differences if name in results else ()
                results[name] = replace(result, chances=before)
            left = [s for s in left if results[s.name].differences and s.name not in KNOWN]
    return {scenario.name: results[scenario.name] for scenario in scenarios}


def _returns(scenario: Scenario) -> int:
    return sum(isinstance(step, AwaitReturn) for step in scenario.steps)


async def _play_all(scenarios: Sequence[Scenario], folder: Path, setting: Setting) -> list[Result]:
    async with AsyncExitStack() as stack:
        envoy, theirs = await _player(stack, EnvoyPlayer, scenarios, folder, setting)
        addon, own = await _player(stack, AddonPlayer, scenarios, folder, setting, theirs)
        limit = asyncio.Semaphore(AT_ONCE)

        async def play(scenario: Scenario, player: Player, upstream: Upstream) -> Record:
            async with limit, upstream:
                return await Play(scenario, player, upstream).run()

        async def compare(scenario: Scenario, theirs: Upstream, own: Upstream) -> Result:
            if scenario.same_ports:
                a, b = await play(scenario, envoy, theirs), await play(scenario, addon, own)
            else:
                a, b = await asyncio.gather(play(scenario, envoy, theirs), play(scenario, addon, own))
            return Result(scenario, a, b, tuple(differences(scenario, a, b)))

        return await asyncio.gather(*(compare(*pair) for pair in zip(scenarios, theirs, own, strict=True)))


async def play_envoy(scenarios: Sequence[Scenario], folder: Path, setting: Setting) -> list[Record]:
    """What Envoy alone does."""
    async with AsyncExitStack() as stack:
        envoy, upstreams = await _player(stack, EnvoyPlayer, scenarios, folder, setting)
        limit = asyncio.Semaphore(AT_ONCE)

        async def play(scenario: Scenario, upstream: Upstream) -> Record:
            async with limit, upstream:
                return await Play(scenario, envoy, upstream).run()

        return await asyncio.gather(*map(play, scenarios, upstreams))


async def _player(
    stack: AsyncExitStack,
    kind: type[Player],
    scenarios: Sequence[Scenario],
    folder: Path,
    setting: Setting,
    others: Sequence[Upstream] | None = None,
) -> tuple[Player, list[Upstream]]:
    """A player that runs, and endpoints for it, of which some have the ports of others."""
    names = await stack.enter_async_context(NameServer())
    authority, ca_file = _authority(folder / f"{kind.name}-ca.pem")
    upstreams = [
        Upstream(scenario, authority, others[number].ports if others and scenario.same_ports else None)
        for number, scenario in enumerate(scenarios)
    ]
    for upstream in upstreams:
        stack.push_async_callback(upstream.stop)
    for scenario, upstream in zip(scenarios, upstreams, strict=True):
        for service, found in scenario.services.items():
            if found.dns is not None:
                addresses = [upstream.services[service][number].address for number in found.dns]
                names.answers[f"dns.{scenario.host(service)}"] = tuple(addresses)
    pairs = zip(scenarios, upstreams, strict=True)
    written = [found for s, u in pairs for found in documents(s, u.places, ca_file)]
    return await stack.enter_async_context(kind(written, folder, setting, names)), upstreams


def _authority(ca_file: Path) -> tuple[Authority, str]:
    """An authority, and the file with its certificate."""
    authority = Authority()
    ca_file.parent.mkdir(parents=True, exist_ok=True)
    authority.write_bundle(ca_file)
    return authority, str(ca_file)
