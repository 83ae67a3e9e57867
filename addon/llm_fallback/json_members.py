"""Sets members of a JSON object and leaves every other byte of it as it was. Pure.

A client's spacing, key order, number spelling (`1.50`, `12345678901234567890`) and duplicate keys survive, as
they would not survive being parsed and written again.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from json.decoder import WHITESPACE, scanstring  # type: ignore[attr-defined]  # public in all but the stubs
from json.scanner import make_scanner
from typing import Self

type Value = str | int | float | bool | None

# Values are skipped: nothing is made of numbers and objects, which are what takes time. Nor would Python read
# integers of more than 4300 digits.
_scan_value = make_scanner(
    json.JSONDecoder(parse_int=len, parse_float=len, object_hook=bool)  # type: ignore[arg-type]  # the stub is wrong
)
_MAX_MEMBERS = 10_000  # each takes a step of Python; no request to an LLM has more than some dozens


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, repr=False)
class JsonObject:
    """An object as it is written, and where: the places of its members' values and the end of its brace."""

    _body: bytes
    _opening: int
    _members: tuple[_Member, ...]

    @classmethod
    def read(cls, body: bytes) -> Self | None:
        """Find the members; None if it is not a JSON object in UTF-8, or has more than anybody writes."""
        try:
            text = body.decode()
            opening, members = _members(text)
        except (ValueError, StopIteration, RecursionError):
            return None
        if not text.isascii():
            places = _in_bytes(text, (place for each in members for place in (each.start, each.end)))
            opening = len(text[:opening].encode())
            members = [_Member(each.name, next(places), next(places)) for each in members]
        return cls(body, opening, tuple(members))

    def text(self, name: str) -> str | None:
        """The text of a member, of the last one of its name; None if there is none, or it is no text."""
        last = next((member for member in reversed(self._members) if member.name == name), None)
        written = self._body[last.start : last.end] if last else b""
        return str(json.loads(written)) if written.startswith(b'"') else None

    def with_members(
        self,
        *,
        always: Mapping[str, Value] | None = None,
        unless_present: Mapping[str, Value] | None = None,
    ) -> bytes:
        """The body with members set.

        `always` wins over what the body says; `unless_present` counts only where the body does not say. A
        member that occurs twice is set twice, so that no reader of the body can see another value.
        """
        present = {member.name for member in self._members}
        wanted = dict(always or {})
        added = {name: value for name, value in (unless_present or {}).items() if name not in present}
        added |= {name: value for name, value in wanted.items() if name not in present}
        pieces, position = [self._body[: self._opening]], self._opening
        if added:
            comma = b", " if self._members else b""
            pieces.append(b", ".join(_dump(name) + b": " + _dump(value) for name, value in added.items()))
            pieces.append(comma)
        for member in self._members:
            if member.name in wanted:
                pieces += [self._body[position : member.start], _dump(wanted[member.name])]
                position = member.end
        return b"".join([*pieces, self._body[position:]])


def set_members(body: bytes, *, always: Mapping[str, Value]) -> bytes | None:
    """The body with members set in any case; None if it is not a JSON object in UTF-8."""
    read = JsonObject.read(body)
    return read.with_members(always=always) if read else None


def _members(text: str) -> tuple[int, list[_Member]]:
    """The place after an object's opening brace, and its members with the places of their values."""
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
    return opening, members


def _read_members(text: str, position: int, members: list[_Member]) -> int:
    """Read members up to the closing brace; returns the place after it."""
    while len(members) < _MAX_MEMBERS:
        if text[position : position + 1] != '"':
            raise ValueError("a member has no name")
        name, position = scanstring(text, position + 1)
        position = _skip(text, position)
        if text[position : position + 1] != ":":
            raise ValueError("a member has no value")
        start = _skip(text, position + 1)
        _, end = _scan_value(text, start)
        members.append(_Member(name, start, end))
        position = _skip(text, end)
        match text[position : position + 1]:
            case "}":
                return position + 1
            case ",":
                position = _skip(text, position + 1)
            case _:
                raise ValueError("neither a comma nor the end after a member")
    raise ValueError("too many members")


def _skip(text: str, position: int) -> int:
    match = WHITESPACE.match(text, position)
    return match.end() if match else position


def _in_bytes(text: str, places: Iterable[int]) -> Iterator[int]:
    """Ascending places in a text as places in its UTF-8."""
    position = 0
    for before, place in pairwise([0, *places]):
        position += len(text[before:place].encode())
        yield position


@lru_cache(maxsize=1024, typed=True)  # they are the configuration's; to a cache, 1 and True are the same
def _dump(value: Value) -> bytes:
    # Half of a character cannot be written but as an escape, which is what JSON has for it, too.
    return json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace")
