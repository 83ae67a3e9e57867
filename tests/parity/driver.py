"""Plays one scenario against one player, and records what was seen."""

import asyncio
from collections import Counter
from collections.abc import Callable

from tests.parity.players import HealthEvent, Player, now
from tests.parity.scenario import (
    Answer,
    Ask,
    AwaitReturn,
    Begin,
    Burst,
    Ejection,
    Pause,
    Record,
    Release,
    Say,
    Scenario,
    Step,
    StepRecord,
)
from tests.parity.upstream import Upstream

_POLL_S = 0.002
_DEADLINE_S = 30.0


class Play:
    """One play of a scenario."""

    def __init__(self, scenario: Scenario, player: Player, upstream: Upstream) -> None:
        self._scenario = scenario
        self._player = player
        self._upstream = upstream
        self._begun: list[asyncio.Task[Answer]] = []
        self._ends: list[float] = []

    async def run(self) -> Record:
        """Take all steps."""
        steps = [await self._record(step) for step in self._scenario.steps]
        names = self._upstream.names
        refused = await self._player.refused(list(names))
        return Record(
            tuple(steps), self._ejections(), {names[port]: count for port, count in refused.items() if count}
        )

    async def _record(self, step: Step) -> StepRecord:
        before = Counter(self._upstream.arrivals)
        answers = await self._take(step)
        await self._player.settle()
        self._ends.append(now())
        return StepRecord(step, tuple(answers), dict(self._upstream.arrivals - before))

    async def _take(self, step: Step) -> list[Answer]:
        match step:
            case Say(behaviour, service, number, once):
                endpoints = self._upstream.services[service]
                for endpoint in endpoints if number is None else [endpoints[number]]:
                    await endpoint.become(behaviour, once=once)
            case Ask(times):
                return [await self._ask() for _ in range(times)]
            case Burst(size):
                await self._begin(size)
                return await self._release()
            case Begin(size):
                await self._begin(size)
            case Release():
                return await self._release()
            case AwaitReturn(service):
                await self._await_return({endpoint.port for endpoint in self._upstream.services[service]})
            case Pause(seconds):
                await asyncio.sleep(seconds)
        return []

    async def _ask(self) -> Answer:
        answer = await self._player.ask(self._scenario)
        await self._player.settle()
        return answer

    async def _begin(self, size: int) -> None:
        """Send requests and wait until each is at an endpoint, or answered by the proxy itself."""
        self._upstream.is_holding = True
        tasks = [asyncio.create_task(self._player.ask(self._scenario)) for _ in range(size)]
        held = len(self._upstream.held)
        await _until(lambda: len(self._upstream.held) - held + sum(t.done() for t in tasks) == size)
        self._upstream.is_holding = False
        self._begun += tasks

    async def _release(self) -> list[Answer]:
        begun, self._begun = self._begun, []
        self._upstream.release()
        return await asyncio.gather(*begun)

    async def _await_return(self, ports: set[int]) -> None:
        await _until(lambda: not any(e.reason for e in _latest(self._events()).values() if e.port in ports))

    def _events(self) -> list[HealthEvent]:
        ports = self._upstream.names
        return [event for event in self._player.events if event.port in ports]

    def _ejections(self) -> tuple[Ejection, ...]:
        events = self._events()
        found = []
        for number, event in enumerate(events):
            if event.reason:
                later = (e for e in events[number + 1 :] if e.port == event.port and not e.reason)
                back = next(later, None)
                found.append(
                    Ejection(
                        sum(end < event.at for end in self._ends),
                        self._upstream.names[event.port],
                        event.reason,
                        back.at - event.at if back else None,
                    )
                )
        return tuple(found)


def _latest(events: list[HealthEvent]) -> dict[int, HealthEvent]:
    return {event.port: event for event in events}


async def _until(condition: Callable[[], bool]) -> None:
    """Wait for something that other processes bring about."""
    async with asyncio.timeout(_DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(_POLL_S)
