"""Sets members of a JSON object and leaves every other byte of it as it was. Pure.

A client's spacing, key order, number spelling (`1.50`, `12345678901234567890`) and duplicate keys survive, as
they would not survive being parsed and written again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from json.decoder import WHITESPACE, scanstring  # type: ignore[attr-defined]  # public in all but the stubs
from json.scanner import make_scanner
from typing import Any

type Value = str | int | float | bool | None

# Integers are read as floats because Python refuses to read those of more than 4300 digits.
_scan_value = make_scanner(json.JSONDecoder(parse_int=float))  # type: ignore[arg-type]  # the stub is wrong


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    start: int
    end: int
    value: Any


@dataclass(frozen=True, slots=True, repr=False)
class Edited:
    """A body with members set; `before` is what it said of those that were set in any case."""

    body: bytes
    before: Mapping[str, Any]


def set_members(
    body: bytes,
    *,
    always: Mapping[str, Value] | None = None,
    unless_present: Mapping[str, Value] | None = None,
) -> Edited | None:
    """The body with members set; None if it is not a JSON object in UTF-8.

    `always` wins over what the body says; `unless_present` counts only where the body does not say. A member
    that occurs twice is set twice, so that no reader of the body can see another value.
    """
    try:
        text = body.decode()
        members, opening = _members(text)
    except (ValueError, StopIteration, RecursionError):
        return None
    present = {member.name for member in members}
    wanted = dict(always or {})
    added = {name: value for name, value in (unless_present or {}).items() if name not in present}
    added |= {name: value for name, value in wanted.items() if name not in present}
    pieces, position = [text[:opening]], opening
    if added:
        comma = ", " if members else ""
        pieces.append(", ".join(f"{_dump(name)}: {_dump(value)}" for name, value in added.items()) + comma)
    for member in members:
        if member.name in wanted:
            pieces += [text[position : member.start], _dump(wanted[member.name])]
            position = member.end
    before = {member.name: member.value for member in members if member.name in wanted}
    return Edited("".join([*pieces, text[position:]]).encode(), before)


def _members(text: str) -> tuple[list[_Member], int]:
    """The members of the object with the places of their values, and the place after its opening brace."""
    position = _skip(text, 0)
    opening = position + 1
    if text[position:opening] != "{":
        raise ValueError("not an object")
    members: list[_Member] = []
    position = _skip(text, opening)
    if text[position : position + 1] == "}":
        position += 1
    else:
        position = _read_members(text, position, members)
    if _skip(text, position) != len(text):
        raise ValueError("something after the object")
    return members, opening


def _read_members(text: str, position: int, members: list[_Member]) -> int:
    """Read members up to the closing brace; returns the place after it."""
    while True:
        if text[position : position + 1] != '"':
            raise ValueError("a member has no name")
        name, position = scanstring(text, position + 1)
        position = _skip(text, position)
        if text[position : position + 1] != ":":
            raise ValueError("a member has no value")
        start = _skip(text, position + 1)
        value, end = _scan_value(text, start)
        members.append(_Member(name, start, end, value))
        position = _skip(text, end)
        match text[position : position + 1]:
            case "}":
                return position + 1
            case ",":
                position = _skip(text, position + 1)
            case _:
                raise ValueError("neither a comma nor the end after a member")


def _skip(text: str, position: int) -> int:
    match = WHITESPACE.match(text, position)
    return match.end() if match else position


@lru_cache(maxsize=1024, typed=True)  # they are the configuration's; to a cache, 1 and True are the same
def _dump(value: Value) -> str:
    return json.dumps(value, ensure_ascii=False)
