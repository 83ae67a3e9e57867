"""What people read about a request: a line in the log, a comment on the flow, and all of it as data. Pure."""

import math
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from llm_fallback.events import Acted, Attempted, Ejected, Handled, Rescued, Returned
from llm_fallback.local_replies import CUT


class Result(StrEnum):
    """How a request has ended, in a word to search for."""

    ANSWERED = "answered"
    FELL_BACK = "fell back"
    RESCUED = "rescued"
    FAILED = "failed"
    GIVEN_UP = "given up"


def result(event: Handled) -> Result:
    """How it has ended: a failure is an error of a server's, in a stream as well, or a broken answer."""
    if event.status is None:
        return Result.GIVEN_UP
    is_broken = not CUT.isdisjoint(event.flags) or event.answer.figures.has_error
    if event.status >= 500 or is_broken:
        return Result.FAILED
    if event.rescue and event.rescue.reasons:
        return Result.RESCUED
    return Result.FELL_BACK if event.instead_of else Result.ANSWERED


def handled(event: Handled) -> str:
    """One request in one line: route, target, attempts, status, Envoy's response flags if any, duration."""
    comma = "," if event.answer.figures.has_error else ""
    return (
        f"{event.method} {event.host} {summary(event)} | {outcome(event)}{comma} in {_ms(event.duration_s)}"
    )


def outcome(event: Handled) -> str:
    """Status, Envoy's response flags if any, and what the status does not say."""
    status = "no answer" if event.status is None else str(event.status)
    flags = f" {','.join(event.flags)}" if event.flags else ""
    return f"{status}{flags}{', then an error in the stream' if event.answer.figures.has_error else ''}"


def summary(event: Handled) -> str:
    """Route, target, why it is not another one, and what came of each attempt."""
    attempts = ", then ".join(_attempt(attempt) for attempt in event.attempts) or "no attempt"
    return f"{event.route} -> {event.target}{_why(event)} | {attempts}"


def comment(event: Handled) -> str:
    """The same for a flow: with what came of it if that says more, and a name, which its attempts have."""
    parts = [summary(event)]
    if event.flags or event.answer.figures.has_error:
        parts.append(outcome(event))
    if event.id:
        parts.append(short(event.id))
    return " | ".join(parts)


def short(request_id: str) -> str:
    """As much of a request's id as tells it from others nearby."""
    return request_id[:8]


def _why(event: Handled) -> str:
    override = f" ({event.override})" if event.override else ""
    if event.rescue is None or event.rescue.is_too_large:
        instead = f" instead of {event.instead_of}, which is ejected" if event.instead_of else ""
        note = " (too large to be rescued)" if event.rescue else ""
        return override or f"{instead}{note}"
    reasons = f" after {', '.join(event.rescue.reasons)}" if event.rescue.reasons else ""
    notes = ["nobody left to ask"] if event.rescue.is_spent else []
    if retries := event.rescue.client_retries:
        notes.append(f"the client's retry {retries}")
    return f"{reasons} ({', '.join(notes)}){override}" if notes else f"{reasons}{override}"


def as_data(event: Handled) -> dict[str, Any]:
    """The decision as plain data, the only kind that can be saved with a flow.

    Times are in seconds, to the microsecond: people read them, too.
    """
    received, answer = event.received, event.answer
    return {
        "id": event.id,
        "at": _us(received.at_s) if received else None,
        "method": event.method,
        "scheme": received.scheme if received else None,
        "host": event.host,
        "path": received.path if received else None,
        "route": event.route,
        "source": event.source,
        "target": event.target,
        "instead_of": event.instead_of,
        "result": result(event).value,
        "attempts": [attempt_as_data(attempt) for attempt in event.attempts],
        "status": event.status,
        "flags": [str(flag) for flag in event.flags],
        "duration_s": _us(event.duration_s),
        "first_byte_s": _us(answer.first_byte_s),
        "bytes": answer.body_bytes,
        "request_model": received.model if received else None,
        "model": answer.figures.model,
        "input_tokens": answer.figures.input_tokens,
        "output_tokens": answer.figures.output_tokens,
        "finish_reason": answer.figures.finish_reason,
        "override": event.override,
        **({"rescue": _plain(event.rescue)} if event.rescue else {}),
    }


def attempt_as_data(attempt: Attempted) -> dict[str, Any]:
    """One attempt as plain data."""
    return {
        "target": attempt.target,
        "endpoint": attempt.endpoint,
        "result": attempt.result,
        "status": attempt.status,
        "failure": attempt.failure,
        "began_s": _us(attempt.began_s),
        "duration_s": _us(attempt.duration_s),
        "lost_after_s": _us(attempt.lost_after_s),
        "model": attempt.model,
    }


def lost(attempt: Attempted, request_id: str) -> str:
    """One attempt whose answer nobody got, and whose it was."""
    took = attempt.duration_s if attempt.lost_after_s is None else attempt.lost_after_s
    told = f"attempt at {attempt.target}, {attempt.endpoint}: {attempt.result}, lost after {_ms(took)}"
    return f"{told} | {short(request_id)}"


def _plain(rescued: Rescued) -> dict[str, Any]:
    return asdict(rescued) | {"reasons": list(rescued.reasons)}


def ejected(event: Ejected) -> str:
    """Which endpoint left the rotation, why, and for how long."""
    who = f"ejected {event.host}:{event.port} endpoint {event.endpoint}"
    if math.isinf(event.duration_s):
        return f"{who} until it is returned ({event.reason})"
    multiplier = f", multiplier {event.multiplier}" if event.multiplier else ""
    return f"{who} for {event.duration_s:g} s ({event.reason}{multiplier})"


def returned(event: Returned) -> str:
    """Which endpoint is back in rotation, or is not there any more."""
    endpoint = f"{event.host}:{event.port} endpoint {event.endpoint}"
    if event.is_gone:
        return f"forgot {endpoint}, which is gone, {event.duration_s:.1f} s after its ejection"
    return f"returned {endpoint} after {event.duration_s:.1f} s"


def acted(event: Acted) -> str:
    """What a person has done."""
    return f"action: {event.text}"


def _attempt(attempt: Attempted) -> str:
    if attempt.endpoint is None:
        return attempt.result
    return f"{attempt.endpoint}: {attempt.result} in {_ms(attempt.duration_s)}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _us(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
