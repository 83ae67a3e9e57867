"""Plays one scenario against one player, and records what was seen."""

import asyncio
from collections.abc import Callable

from tests.parity.players import HealthEvent, Player, now
from tests.parity.scenario import (
    Answer,
    Ask,
    AwaitReturn,
    Begin,
    Burst,
    Ejection,
    HangUp,
    Pause,
    Record,
    Release,
    Request,
    Resolve,
    Say,
    Scenario,
    Step,
    StepRecord,
)
from tests.parity.upstream import Upstream

_POLL_S = 0.002
_DEADLINE_S = 30.0
_IN_ORDER_S = 0.05  # between requests of which some will wait


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
        counts = {names[place]: count for place, count in refused.items() if count}
        return Record(tuple(steps), self._ejections(), counts)

    async def _record(self, step: Step) -> StepRecord:
        before = len(self._upstream.seen)
        answers = await self._take(step)
        await self._player.settle()
        self._ends.append(now())
        return StepRecord(step, tuple(answers), tuple(self._upstream.seen[before:]))

    async def _take(self, step: Step) -> list[Answer]:  # noqa: C901 - one case per kind of step
        match step:
            case Say(behaviour, service, number):
                endpoints = self._upstream.services[service]
                script = behaviour if isinstance(behaviour, tuple) else (behaviour,)
                for endpoint in endpoints if number is None else [endpoints[number]]:
                    await endpoint.become(script)
            case Ask(times, request):
                return [await self._ask(request) for _ in range(times)]
            case Burst(size, request):
                await self._begin(size, request)
                return await self._release()
            case Begin(size, request, waiting, held):
                await self._begin(size, request, waiting=waiting, held=held)
            case Release():
                return await self._release()
            case HangUp():
                await self._hang_up()
            case Resolve(answer, service):
                await self._resolve(answer, service)
            case AwaitReturn(service):
                await self._await_return({str(endpoint) for endpoint in self._upstream.services[service]})
            case Pause(seconds):
                await asyncio.sleep(seconds)
        return []

    async def _ask(self, request: Request) -> Answer:
        answer = await self._player.ask(self._scenario, request)
        await self._player.settle()
        return answer

    async def _begin(self, size: int, request: Request, *, waiting: int = 0, held: bool = True) -> None:
        """Send requests and wait until each is at an endpoint, or answered by the proxy, or waits there."""
        self._upstream.is_holding = held
        seen = len(self._upstream.seen)
        tasks = []
        for _ in range(size):
            tasks.append(asyncio.create_task(self._player.ask(self._scenario, request)))
            await asyncio.sleep(_IN_ORDER_S if waiting else 0)
        await _until(lambda: self._arrived(tasks, seen) >= size - waiting)
        self._upstream.is_holding = False
        self._begun += tasks

    def _arrived(self, tasks: list[asyncio.Task[Answer]], seen: int) -> int:
        """How many of the requests are at an endpoint or need no endpoint."""
        return len(self._upstream.seen) - seen + sum(task.done() for task in tasks)

    async def _hang_up(self) -> None:
        begun, self._begun = self._begun, []
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)

    async def _resolve(self, answer: tuple[int, ...] | str, service: str) -> None:
        """Change the name's addresses, and wait until the player has heard of it."""
        endpoints = self._upstream.services[service]
        found = answer if isinstance(answer, str) else tuple(endpoints[number].address for number in answer)
        await self._player.resolve(f"dns.{self._scenario.host(service)}", found)

    async def _release(self) -> list[Answer]:
        begun, self._begun = self._begun, []
        self._upstream.release()
        return await asyncio.gather(*begun)

    async def _await_return(self, places: set[str]) -> None:
        await _until(lambda: not any(e.reason for e in _latest(self._events()).values() if e.place in places))

    def _events(self) -> list[HealthEvent]:
        places = self._upstream.names
        return [event for event in self._player.events if event.place in places]

    def _ejections(self) -> tuple[Ejection, ...]:
        events = self._events()
        found = []
        for number, event in enumerate(events):
            if event.reason:
                later = (e for e in events[number + 1 :] if e.place == event.place and not e.reason)
                back = next(later, None)
                found.append(
                    Ejection(
                        sum(end < event.at for end in self._ends),
                        self._upstream.names[event.place],
                        event.reason,
                        back.at - event.at if back else None,
                    )
                )
        return tuple(found)


def _latest(events: list[HealthEvent]) -> dict[str, HealthEvent]:
    return {event.place: event for event in events}


async def _until(condition: Callable[[], bool]) -> None:
    """Wait for something that other processes bring about."""
    async with asyncio.timeout(_DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(_POLL_S)
