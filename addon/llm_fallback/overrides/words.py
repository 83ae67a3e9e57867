"""A fault, a time and a place as people type them; the same in commands, API and command line. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from llm_fallback.overrides.errors import BadActionError, near
from llm_fallback.overrides.fault import FaultKind, fault_of, kind_of
from llm_fallback.resources.base import parse_duration_ms

OPTIONS = ("--percentage", "--count", "--body", "--header")
"""What may follow the kind of a fault, each with a value."""

_VALUES = {FaultKind.STATUS: "a status, such as 503", FaultKind.DELAY: "a time, such as 2s"}


def seconds(written: str, of: str = "") -> float:
    """The seconds of a time such as `30s` or `1m30s`, which is `of` what; raises BadActionError."""
    try:
        return parse_duration_ms(written) / 1000
    except ValueError as error:
        what, reason = f"{of}: " if of else "", str(error)
        joint = " is" if reason.startswith("not ") else ":"
        raise BadActionError(f"{what}{written!r}{joint} {reason}") from None


def fault_words(words: Sequence[str]) -> dict[str, Any]:
    """The data of a fault such as `status 503 --percentage 50`; raises BadActionError."""
    plain: list[str] = []
    options: dict[str, list[str]] = {}
    left = iter(words)
    for word in left:
        if not word.startswith("--"):
            plain.append(word)
            continue
        name, equals, value = word.partition("=")
        if name not in OPTIONS:
            raise BadActionError(f"no option {name}{near(name, OPTIONS)}; there are {', '.join(OPTIONS)}")
        if not equals:
            value = next(left, "")
        options.setdefault(name, []).append(value)
    return fault_data(plain, options)


def fault_data(words: Sequence[str], options: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The data of a fault of its kind, the value that the kind takes, and OPTIONS; raises BadActionError."""
    if not words:
        raise BadActionError(f"which fault? There are {', '.join(FaultKind)}")
    data: dict[str, Any] = {"kind": words[0]}
    _add_value(data, words[1:])
    for name, values in options.items():
        last = values[-1] if values else ""
        match name:
            case "--percentage":
                data["percentage"] = _number(name, last.removesuffix("%"))
            case "--count":
                data["count"] = _whole(name, last)
            case "--body":
                data["body"] = last
            case _:
                data["headers"] = dict(map(_header, values))
    fault_of(data)
    return data


def fault_file(text: str, place: str | None = None) -> tuple[str, dict[str, Any]]:
    """The place and the data of a fault that was exported; a place that is given counts before the file's.

    Raises BadActionError.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise BadActionError("the file of a fault is not JSON") from None
    where = data.pop("place", None) if isinstance(data, dict) else None
    fault_of(data)
    where = place or where
    if not isinstance(where, str):
        raise BadActionError("the fault's file names no place; write one before -f")
    return where, data


def _add_value(data: dict[str, Any], values: Sequence[str]) -> None:
    kind = kind_of(data["kind"])
    takes = 1 if kind in _VALUES else 0
    if len(values) > takes:
        raise BadActionError(f"fault: {values[takes]!r} is too much after {kind}")
    if takes and not values:
        raise BadActionError(f"fault: {kind} takes {_VALUES[kind]}")
    if kind is FaultKind.STATUS:
        data["status"] = _whole("status", values[0])
    elif kind is FaultKind.DELAY:
        data["delay_s"] = seconds(values[0], "delay")


def _header(written: str) -> tuple[str, str]:
    name, colon, value = written.partition(":")
    if not colon:
        raise BadActionError("--header: write 'name: value'")
    return name.strip(), value.strip()


def _number(what: str, written: str) -> float:
    try:
        return float(written)
    except ValueError:
        raise BadActionError(f"{what}: {written!r} is no number") from None


def _whole(what: str, written: str) -> int:
    if not (written.isascii() and written.isdecimal()) or len(written) > 9:
        raise BadActionError(f"{what}: {written!r} is no whole number")
    return int(written)
