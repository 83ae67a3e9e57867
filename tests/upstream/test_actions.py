"""What a person can do about an engine, in words."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from llm_fallback.config.routes import VirtualHost
from llm_fallback.config.snapshot import Service, Snapshot
from llm_fallback.events import Acted, Ejected, Event, Returned
from llm_fallback.outlier import Outcome
from llm_fallback.upstream.actions import Actions, BadActionError
from llm_fallback.upstream.engine import Engine
from tests.upstream.virtual_time import run
from tests.upstream.world import EJECTS, target

A = target("a.com", "10.0.0.1", "10.0.0.2", outlier=EJECTS)
B = target("b.com")
SNAPSHOT = Snapshot(
    {each.host: Service(each.host, {(80, None): each}) for each in (A, B)},
    {"a.com": VirtualHost("vs", ())},
)


class Desk:
    """An engine with actions, and what it has told."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.events: list[Event] = []
        self.engine = Engine(clock=clock, wall_clock=clock, rng=random.Random(0), on_event=self.events.append)
        self.engine.adopt(SNAPSHOT)
        self.actions = Actions(self.engine, lambda: SNAPSHOT)
        self.clock = clock

    @property
    def out(self) -> list[str]:
        """Who is out of rotation."""
        health = self.engine.health
        return [str(e.address) for t in (A, B) for e in t.endpoints if health.is_ejected(t, e)]

    @property
    def changes(self) -> list[str]:
        """Who left and who came back, and the actions as such."""
        words = {Ejected: "-", Returned: "+"}
        return [
            "!" if isinstance(e, Acted) else f"{words[type(e)]}{getattr(e, 'endpoint', '')}"
            for e in self.events
        ]


def at_desk[T](main: Callable[[Desk], Awaitable[T]]) -> T:
    """In virtual time."""

    async def play(clock: Callable[[], float]) -> T:
        desk = Desk(clock)
        try:
            return await main(desk)
        finally:
            desk.engine.close()

    return run(play)


def refused(action: Callable[..., object], *arguments: object) -> str:
    """The sentence."""
    with pytest.raises(BadActionError) as problem:
        action(*arguments)
    return str(problem.value)


def test_eject_and_return() -> None:
    """A target, until it is returned; both are told, the changes before the action."""

    async def main(desk: Desk) -> None:
        assert desk.actions.eject("a.com:80") == "ejected a.com:80 by hand until it is returned"
        assert desk.out == ["10.0.0.1", "10.0.0.2"]
        assert desk.actions.put_back("a.com") == "returned a.com:80@10.0.0.1:80, a.com:80@10.0.0.2:80"
        assert desk.out == []
        assert desk.changes == [
            *("-10.0.0.1:80", "-10.0.0.2:80", "!"),
            *("+10.0.0.1:80", "+10.0.0.2:80", "!"),
        ]
        assert desk.events[2] == Acted("ejected a.com:80 by hand until it is returned", "a.com:80")

    at_desk(main)


def test_an_ejection_with_a_time_ends_by_itself() -> None:
    """Without any request that would notice."""

    async def main(desk: Desk) -> None:
        assert desk.actions.eject("a.com@10.0.0.2:80", 30.0) == (
            "ejected a.com:80@10.0.0.2:80 by hand for 30 s"
        )
        await asyncio.sleep(29.9)
        assert desk.out == ["10.0.0.2"]
        await asyncio.sleep(0.2)
        assert desk.out == []
        assert desk.changes == ["-10.0.0.2:80", "!", "+10.0.0.2:80"]

    at_desk(main)


def test_return_ends_what_outlier_detection_has_done() -> None:
    """And whoever it was has nothing to prove any more, on probation or not."""

    async def main(desk: Desk) -> None:
        endpoint = A.endpoints[0]
        desk.engine.health.record(A, endpoint, Outcome(503), total=2, now=0.0)
        desk.engine.readmission.returned((A.key, endpoint), now=0.0)
        assert desk.out == ["10.0.0.1"]

        assert desk.actions.put_back("all") == "returned a.com:80@10.0.0.1:80"
        assert desk.out == []
        assert desk.engine.readmission.begin((A.key, endpoint)) is None
        assert desk.actions.put_back("b.com") == (
            "nothing was out of rotation at b.com:80; failures count anew"
        )
        assert desk.actions.put_back("all") == ("nothing was out of rotation; failures count anew everywhere")

    at_desk(main)


def test_pin_fault_and_clear() -> None:
    """Each is in force until it is cleared."""

    async def main(desk: Desk) -> None:
        actions, overrides = desk.actions, desk.engine.overrides
        assert actions.pin("A.com", "b.com") == "pinned a.com to b.com:80 until cleared"
        assert actions.fault("a.com", {"kind": "status", "status": 503, "count": 3}) == (
            "fault 1 at a.com: status 503, 3 left"
        )
        actions.fault("b.com:80", {"kind": "hang"})
        actions.eject("b.com")
        assert actions.clear("a.com") == "cleared 1 fault and 1 pin at a.com"
        assert (overrides.pins, [str(each) for each in overrides.faults]) == ({}, ["hang"])
        assert actions.clear() == "cleared 1 fault and 1 ejection by hand"
        assert desk.out == []
        assert actions.clear("all") == "there was nothing to clear"
        for place in ("a.com", "b.com"):
            actions.fault(place, {"kind": "hang"})
        actions.pin("a.com", "b.com")
        actions.eject("b.com")
        assert actions.clear() == "cleared 2 faults, 1 pin and 1 ejection by hand"

    at_desk(main)


def test_clear_leaves_what_outlier_detection_has_done() -> None:
    """That is what return is for."""

    async def main(desk: Desk) -> None:
        desk.engine.health.record(A, A.endpoints[0], Outcome(503), total=2, now=0.0)

        assert desk.actions.clear("a.com:80") == "there was nothing to clear at a.com:80"
        assert desk.out == ["10.0.0.1"]

    at_desk(main)


def test_a_pin_is_cleared_by_its_host_only() -> None:
    """Not by one of the host's targets."""

    async def main(desk: Desk) -> None:
        desk.actions.pin("a.com", "b.com")
        assert desk.actions.clear("a.com:80") == "there was nothing to clear at a.com:80"
        assert desk.engine.overrides.pins

    at_desk(main)


def test_refusals_change_nothing() -> None:
    """And name what there is."""

    async def main(desk: Desk) -> None:
        actions = desk.actions
        assert (
            refused(actions.eject, "a.co")
            == "no target a.co (did you mean a.com:80?); there are a.com:80, b.com:80"
        )
        assert refused(actions.eject, "a.com@10.0.0.9:80") == (
            "no endpoint 10.0.0.9:80 of a.com; there are 10.0.0.1:80, 10.0.0.2:80"
        )
        assert refused(actions.eject, "a.com", -1.0).startswith("an ejection takes some seconds")
        assert refused(actions.put_back, "c.com").startswith("no target c.com")
        assert refused(actions.pin, "b.com", "a.com").startswith("no managed host b.com")
        assert refused(actions.pin, "a.com", "c.com").startswith("no target c.com")
        assert refused(actions.fault, "a.com", {"kind": "x"}).startswith("fault: no kind x")
        assert refused(actions.clear, "c.com").startswith("no target c.com")
        assert desk.events == []
        assert (desk.out, desk.engine.overrides.pins, desk.engine.overrides.faults) == ([], {}, [])

    at_desk(main)


def test_places_are_what_actions_take() -> None:
    """Hosts, targets, endpoints."""

    async def main(desk: Desk) -> None:
        places = desk.actions.places()
        assert places == [
            *("a.com", "a.com:80", "a.com:80@10.0.0.1:80", "a.com:80@10.0.0.2:80"),
            *("b.com", "b.com:80", "b.com:80@b.com:80"),
        ]
        for place in places:
            desk.actions.eject(place)

    at_desk(main)
