"""The state of a proxy as a table for a terminal, made from the data of the API's `/api/state`. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from llm_fallback.wording import printable

_HEADINGS = ("TARGET", "ENDPOINT", "STATE", "RETURNS", "ACTIVE", "REQ", "FAIL")
_STATE, _RETURNS, _ACTIVE, _REQUESTS, _FAILURES = 2, 3, 4, 5, 6
_NARROWEST = 4
_SHORT_STATE = len("in rotation")
_GAP = "  "
_GREEN, _RED, _YELLOW, _BOLD, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"
_COLOURS = {"in rotation": _GREEN, "held": _YELLOW}

type _Paint = Callable[[str, str], str]


def as_text(
    state: Mapping[str, Any], *, decisions: int = 5, colours: bool = False, width: int | None = None
) -> str:
    """Targets and endpoints, pins, faults, and the latest fallbacks and rescues; no line end after the last.

    What the state does not say is left out. Lines have at most `width` characters; times of day are local.
    """
    paint = _painted if colours else _plain
    return "\n".join(line.rstrip() for line in _lines(state, decisions, width, paint))


def duration(seconds: float) -> str:
    """Seconds as people say them: `8 s`, `3 min`, `2 h 5 min`."""
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _clipped(text: str, width: int | None) -> str:
    """The printable text, with `…` for what is over the width."""
    shown = printable(text)
    return shown if width is None or len(shown) <= width else f"{shown[: max(0, width - 1)]}…"


def _lines(state: Mapping[str, Any], decisions: int, width: int | None, paint: _Paint) -> Iterator[str]:
    yield from _table([_HEADINGS, *_rows(state.get("targets", ()))], width, paint)
    if state.get("pins") or state.get("faults"):
        yield ""
    for pin in state.get("pins", ()):
        yield paint(_clipped(f"pinned   {pin['host']} to {pin['target']}", width), _YELLOW)
    for fault in state.get("faults", ()):
        yield paint(_clipped(f"fault {fault['id']:<2} {fault['place']}: {fault['text']}", width), _YELLOW)
    told = [each for each in state.get("decisions", ()) if _is_fallback(each)]
    if told and decisions:
        yield ""
        yield paint("LATEST FALLBACKS", _BOLD)
        yield from (_clipped(_decision(each), width) for each in told[:decisions])


def _is_fallback(decision: Mapping[str, Any]) -> bool:
    """Whether it went elsewhere, or a policy could not save it: every request under a policy names that."""
    return bool(decision.get("instead_of") or (decision.get("rescue") and decision["result"] != "answered"))


def _decision(decision: Mapping[str, Any]) -> str:
    at = decision.get("at")
    when = "" if at is None else f"{datetime.fromtimestamp(at, UTC).astimezone():%H:%M:%S}  "
    return f"{when}{decision.get('status') or 'no answer'}  {decision['text']}"


def _rows(targets: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    for target in targets:
        endpoints: Sequence[Mapping[str, Any]] = target["endpoints"] or (
            {"address": "-", "state": "no endpoint"},
        )
        counts = [str(target.get(name, "")) for name in ("requests", "failures")]
        name = target["name"]
        if len(endpoints) > 1:  # in a row of its own, or the counts would read as those of the first one
            yield (name, f"{len(endpoints)} endpoints", "", "", "", *counts)
            name, counts = "", ["", ""]
        for endpoint in endpoints:
            active = str(endpoint.get("active_requests", ""))
            yield (name, endpoint["address"], _state(endpoint), _returns(endpoint), active, *counts)


def _state(endpoint: Mapping[str, Any]) -> str:
    reason = endpoint.get("reason")
    return (
        f"{endpoint['state']}: {reason}" if reason and endpoint["state"] == "ejected" else endpoint["state"]
    )


def _returns(endpoint: Mapping[str, Any]) -> str:
    if endpoint["state"] in ("in rotation", "no endpoint"):
        return ""
    seconds = endpoint.get("returns_in_s")
    return "by hand" if seconds is None else f"in {duration(seconds)}"


def _table(rows: Sequence[Sequence[str]], width: int | None, paint: _Paint) -> Iterator[str]:
    cleaned = [[printable(str(cell)) for cell in row] for row in rows]
    widths = _widths(cleaned, width)
    for number, row in enumerate(cleaned):
        shown = {at: _clipped(row[at], wide) for at, wide in widths.items()}
        cells = [
            cell.rjust(widths[at]) if at > _RETURNS else cell.ljust(widths[at]) for at, cell in shown.items()
        ]
        if number and row[_STATE]:
            cells[_STATE] = paint(cells[_STATE], _COLOURS.get(row[_STATE], _RED))
        yield _GAP.join(cells) if number else paint(_GAP.join(cells), _BOLD)


def _widths(rows: Sequence[Sequence[str]], width: int | None) -> dict[int, int]:
    """How wide the columns are that are shown: all that say something, as far as there is room.

    Who it is about is the last to be cut: first go reasons of a state, then what is counted, then times.
    """
    used = [at for at in range(len(_HEADINGS)) if at <= _STATE or any(row[at] for row in rows[1:])]
    widths = {at: max(len(row[at]) for row in rows) for at in used}
    if width is None or _line(widths) <= width:
        return widths
    widths.pop(_ACTIVE, None)
    state = widths[_STATE]
    widths[_STATE] = min(state, _SHORT_STATE)
    for columns in (_REQUESTS, _FAILURES), (_RETURNS,):
        if _line(widths) > width:
            for at in columns:
                widths.pop(at, None)
    widths[_STATE] = min(state, widths[_STATE] + max(0, width - _line(widths)))
    while _line(widths) > width:
        widest = max(widths, key=lambda at: widths[at])
        if widths[widest] <= _NARROWEST:
            break
        widths[widest] -= 1
    return widths


def _line(widths: Mapping[int, int]) -> int:
    return sum(widths.values()) + len(_GAP) * (len(widths) - 1)


def _painted(text: str, colour: str) -> str:
    return f"{colour}{text}{_PLAIN}"


def _plain(text: str, _: str) -> str:
    return text
