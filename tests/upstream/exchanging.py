"""One exchange with a scripted upstream, from the client's request to the last piece of its answer."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from llm_fallback.config.destination import Destination
from llm_fallback.config.routes import Action, Route, RouteDestination, VirtualHost
from llm_fallback.config.snapshot import Service, Snapshot, Target
from llm_fallback.events import Handled
from llm_fallback.messages import OriginalRequest
from llm_fallback.retry import Failure
from llm_fallback.upstream.answers import End, Head
from llm_fallback.upstream.exchange import Exchange
from tests.upstream.virtual_time import run
from tests.upstream.world import Lowest, Reply, World

POST = OriginalRequest(
    "POST", "a.com", 80, "/chat", (("Host", "a.com"),), b"{}", "http", "10.1.1.1:5000", "10.1.1.2:80"
)


def request(method: str = "POST", path: str = "/chat", **headers: str) -> OriginalRequest:
    """A client's request to a.com; underscores in names of headers stand for dashes."""
    fields = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return replace(POST, method=method, path=path, headers=(*POST.headers, *fields))


def to(host: str, **more: Any) -> RouteDestination:
    """A destination; `fallback` is a host, too."""
    if "fallback" in more:
        more["fallback"] = Destination(more["fallback"])
    return RouteDestination(Destination(host), **more)


def rule(
    *destinations: RouteDestination, name: str = "chat", action: Action | None = None, **more: Any
) -> Route:
    """A rule, of its destinations or of an action of its own."""
    more["is_weighted"] = len(destinations) > 1
    return Route(name, "vs.yaml:8 VirtualService/vs", action or destinations, **more)


def snapshot(targets: tuple[Target, ...], routes: tuple[Route, ...]) -> Snapshot:
    """The rules of a.com, and the targets by host; several of a host differ by their subsets."""
    hosts = {target.host for target in targets}
    services = {
        host: Service(host, {(t.port, t.subset): t for t in targets if t.host == host}) for host in hosts
    }
    return Snapshot(services, {"a.com": VirtualHost("vs", routes)})


@dataclass
class Story:
    """What went to the client, how it ended, and what was said of it."""

    world: World
    heads: list[Head]
    bodies: list[bytes]
    ends: list[End]

    @property
    def events(self) -> list[Handled]:
        """What was said of each exchange."""
        return self.world.handled_events

    @property
    def flags(self) -> set[str]:
        """Envoy's response flags of the last exchange."""
        return {str(flag) for flag in self.events[-1].flags}

    @property
    def statuses(self) -> list[int]:
        """The status of each answer."""
        return [head.status for head in self.heads]

    @property
    def places(self) -> list[str]:
        """The host of each attempt."""
        return [sent.host for sent in self.world.sent]

    def header(self, name: str) -> str | None:
        """A header of the last answer."""
        return next((v for n, v in self.heads[-1].headers if n.lower() == name), None)


def play(
    targets: tuple[Target, ...],
    routes: tuple[Route, ...],
    *script: Reply | int | Failure,
    requests: tuple[OriginalRequest, ...] = (POST,),
    rng: Lowest | None = None,
    by_host: dict[str, Reply] | None = None,
    before: Callable[[World], None] | None = None,
) -> Story:
    """The requests, one after the other, each answer read to its end; `before` them, this is done."""

    async def main(clock: Callable[[], float]) -> Story:
        world = World(clock, targets, None)
        world.rng = rng or world.rng
        world.replies(*script)
        world.scripted.by_host.update(by_host or {})
        if before:
            before(world)
        story = Story(world, [], [], [])
        for each in requests:
            exchange = Exchange(world, snapshot(targets, routes), each, world)
            body = b""
            while not exchange.is_over:
                for piece in await exchange.pieces():
                    match piece:
                        case Head():
                            story.heads.append(piece)
                        case bytes():
                            body += piece
                        case End():
                            story.ends.append(piece)
            story.bodies.append(body)
        return story

    return run(main)
