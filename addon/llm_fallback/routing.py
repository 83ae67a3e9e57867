"""Which rule a request falls under, and which of its destinations takes it. Pure."""

import random
from dataclasses import dataclass

from llm_fallback.config.destination import Destination
from llm_fallback.config.routes import Match, Route, RouteDestination
from llm_fallback.config.snapshot import Snapshot, Target
from llm_fallback.matching import RequestFacts, find


@dataclass(frozen=True, slots=True)
class Matched:
    """The rule that a request falls under, and the alternative among its matches; None where it has none."""

    route: Route
    match: Match | None


@dataclass(frozen=True, slots=True)
class Routed:
    """Where a rule sends one request, before anybody's health is looked at.

    `target` is None when the destination's host, port or subset does not exist.
    """

    destination: RouteDestination
    target: Target | None
    fallback: Target | None


def find_route(snapshot: Snapshot, host: str, facts: RequestFacts) -> Matched | None:
    """The first rule of a managed host that the request fulfils; None if none does.

    Raises LookupError for a host that is not managed.
    """
    virtual_host = snapshot.virtual_host(host)
    if virtual_host is None:
        raise LookupError("the host is not managed")
    found = find(virtual_host.routes, facts)
    return Matched(*found) if found else None


def choose_destination(
    snapshot: Snapshot, destinations: tuple[RouteDestination, ...], *, listener_port: int, rng: random.Random
) -> Routed:
    """One of a rule's destinations, by weight.

    `listener_port` is the port that the client called; it counts where a route leaves the port out.
    """
    chosen = _by_weight(destinations, rng)
    return Routed(
        chosen,
        find_target(snapshot, chosen.destination, listener_port),
        find_target(snapshot, chosen.fallback, listener_port) if chosen.fallback else None,
    )


def find_target(snapshot: Snapshot, destination: Destination, listener_port: int) -> Target | None:
    """The target that a destination means; None if there is no such host, port or subset."""
    service = snapshot.services.get(destination.host)
    if service is None:
        return None
    return service.target(destination.port, destination.subset, listener_port=listener_port)


def _by_weight(destinations: tuple[RouteDestination, ...], rng: random.Random) -> RouteDestination:
    if len(destinations) == 1:
        return destinations[0]
    return rng.choices(destinations, [destination.weight for destination in destinations])[0]
