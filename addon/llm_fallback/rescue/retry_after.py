"""When a provider that refuses says it may be asked again: every form that is in use. Pure."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

type Header = Callable[[str], str | None]

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RESETS = (
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-tokens-reset",
    "x-ratelimit-reset",
    "ratelimit-reset",
)
_LEFT = {reset: reset.replace("reset", "remaining") for reset in _RESETS}
_EPOCH = 1_000_000_000  # a number as large as this is a moment, not a wait
_EPOCH_MS = 100_000_000_000
_MAX_LENGTH = 64  # longer is no date and no number; looking into it would take a provider's word for the time


def wait_s(header: Header, *, wall_time: float) -> float | None:
    """Seconds that the response headers ask to wait; None if they ask for nothing.

    Read are `retry-after-ms`, `retry-after` (seconds or a date), and the reset headers of limits that are
    used up. `wall_time` is in seconds since 1970.
    """
    milliseconds = _number(header("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    if (asked := _moment_or_wait(header("retry-after") or "", wall_time)) is not None:
        return asked
    waits = [
        wait
        for name in _RESETS
        if (value := header(name)) is not None
        and _number(header(_LEFT[name])) == 0
        and (wait := _moment_or_wait(value, wall_time)) is not None
    ]
    return max(waits, default=None)


def _moment_or_wait(value: str, wall_time: float) -> float | None:
    text = value.strip()
    if len(text) > _MAX_LENGTH:
        return None
    number = _number(text)
    if number is not None:
        if number < _EPOCH:
            return number
        return max(0.0, (number / 1000 if number >= _EPOCH_MS else number) - wall_time)
    parts = _PART.findall(text)
    if parts and "".join(amount + unit for amount, unit in parts) == text:
        return sum(float(amount) * _SECONDS[unit] for amount, unit in parts)
    moment = _date(text)
    return None if moment is None else max(0.0, moment - wall_time)


def _date(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text) if text[:4].isdigit() else parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < 1e15 else None
