"""What people read about a request: one line in the log, one comment on the flow. Pure."""

from collections.abc import Collection
from dataclasses import asdict
from itertools import islice
from typing import Any

from llm_fallback.events import Attempted, Ejected, Handled, Rescued, Returned

_MAX_NAMED = 10


def handled(event: Handled) -> str:
    """One request in one line: route, target, attempts, status, Envoy's response flags if any, duration."""
    status = "no answer" if event.status is None else str(event.status)
    outcome = " ".join([status, *([",".join(event.flags)] if event.flags else [])])
    return f"{event.method} {event.host} {summary(event)} | {outcome} in {_ms(event.duration_s)}"


def summary(event: Handled) -> str:
    """Route, target, why it is not another one, and what came of each attempt."""
    attempts = ", then ".join(_attempt(attempt) for attempt in event.attempts) or "no attempt"
    return f"{event.route} -> {event.target}{_why(event)} | {attempts}"


def _why(event: Handled) -> str:
    if event.rescue is None or event.rescue.is_too_large:
        instead = f" instead of {event.instead_of}, which is ejected" if event.instead_of else ""
        return f"{instead} (too large to be rescued)" if event.rescue else instead
    reasons = f" after {', '.join(event.rescue.reasons)}" if event.rescue.reasons else ""
    notes = ["nobody left to ask"] if event.rescue.is_spent else []
    if retries := event.rescue.client_retries:
        notes.append(f"the client's retry {retries}")
    return f"{reasons} ({', '.join(notes)})" if notes else reasons


def as_data(event: Handled) -> dict[str, Any]:
    """The decision as plain data, the only kind that can be saved with a flow."""
    return {
        "route": event.route,
        "source": event.source,
        "host": event.host,
        "target": event.target,
        "instead_of": event.instead_of,
        "attempts": [
            {"endpoint": a.endpoint, "result": a.result, "duration_s": a.duration_s} for a in event.attempts
        ],
        "status": event.status,
        "flags": [str(flag) for flag in event.flags],
        "duration_s": event.duration_s,
        **({"rescue": _plain(event.rescue)} if event.rescue else {}),
    }


def _plain(rescued: Rescued) -> dict[str, Any]:
    return asdict(rescued) | {"reasons": list(rescued.reasons)}


def ejected(event: Ejected) -> str:
    """Which endpoint left the rotation, why, and for how long."""
    return (
        f"ejected {event.host}:{event.port} endpoint {event.endpoint} for {event.duration_s:g} s "
        f"({event.reason}, multiplier {event.multiplier})"
    )


def returned(event: Returned) -> str:
    """Which endpoint is back in rotation."""
    return f"returned {event.host}:{event.port} endpoint {event.endpoint} after {event.duration_s:.1f} s"


def some_of(hosts: Collection[str]) -> str:
    """The hosts by name, as many as a line holds."""
    named = ", ".join(islice(hosts, _MAX_NAMED))
    return named if len(hosts) <= _MAX_NAMED else f"{named} and {len(hosts) - _MAX_NAMED} more hosts"


def _attempt(attempt: Attempted) -> str:
    if attempt.endpoint is None:
        return attempt.result
    return f"{attempt.endpoint}: {attempt.result} in {_ms(attempt.duration_s)}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
