"""What people read about a request: one line in the log, one comment on the flow. Pure."""

from llm_fallback.events import Attempted, Ejected, Handled, Returned


def handled(event: Handled) -> str:
    """`POST a.com fallback-route -> b.com:80 (fallback, a.com:80 is ejected): 200 in 35 ms; 200 - 36 ms`."""
    flags = ",".join(event.flags) or "-"
    status = "no answer" if event.status is None else str(event.status)
    return f"{event.method} {event.host} {summary(event)} | {status} {flags} {_ms(event.duration_s)}"


def summary(event: Handled) -> str:
    """Route, target, and what came of each attempt."""
    instead = f" instead of {event.instead_of}, which is ejected" if event.instead_of else ""
    attempts = ", then ".join(_attempt(attempt) for attempt in event.attempts) or "no attempt"
    return f"{event.route} -> {event.target}{instead} | {attempts}"


def ejected(event: Ejected) -> str:
    """Which endpoint left the rotation, why, and for how long."""
    return (
        f"ejected {event.host}:{event.port} endpoint {event.endpoint} for {event.duration_s:g} s "
        f"({event.reason}, multiplier {event.multiplier})"
    )


def returned(event: Returned) -> str:
    """Which endpoint is back in rotation."""
    return f"returned {event.host}:{event.port} endpoint {event.endpoint} after {event.duration_s:.1f} s"


def _attempt(attempt: Attempted) -> str:
    if attempt.endpoint is None:
        return attempt.result
    return f"{attempt.endpoint}: {attempt.result} in {_ms(attempt.duration_s)}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
