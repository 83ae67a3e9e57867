"""Which rule a request falls under, and which of its destinations takes it. Pure."""

import random
from dataclasses import dataclass

from llm_fallback.config.snapshot import HostPort, Route, RouteDestination, Snapshot, Target


@dataclass(frozen=True, slots=True)
class Routed:
    """What the rules say about one request, before anybody's health is looked at.

    `target` is None when the route leads to a port that the host does not have.
    """

    route: Route
    target: Target | None
    fallback: Target | None


def find_route(snapshot: Snapshot, host: str, *, listener_port: int, rng: random.Random) -> Routed | None:
    """The route for a request to a host; None for a host that is not managed.

    `listener_port` is the port that the client called; it counts where a route leaves the port out.
    """
    route = snapshot.routes.get(host) or snapshot.routes.get(host.lower())
    if route is None:
        return None
    chosen = _by_weight(route.destinations, rng)
    return Routed(
        route,
        _target(snapshot, chosen.destination, listener_port),
        _target(snapshot, chosen.fallback, listener_port) if chosen.fallback else None,
    )


def _by_weight(destinations: tuple[RouteDestination, ...], rng: random.Random) -> RouteDestination:
    if len(destinations) == 1:
        return destinations[0]
    return rng.choices(destinations, [destination.weight for destination in destinations])[0]


def _target(snapshot: Snapshot, place: HostPort, listener_port: int) -> Target | None:
    service = snapshot.services.get(place.host)
    return service.target(place.port, listener_port=listener_port) if service else None
