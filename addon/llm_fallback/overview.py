"""The state of a proxy as a table for a terminal, made from the data of the API's `/api/state`. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

_HEADINGS = ("TARGET", "ENDPOINT", "STATE", "RETURNS", "ACTIVE", "REQUESTS", "FAILURES")
_GAP = "  "
_GREEN, _RED, _YELLOW, _BOLD, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"
_COLOURS = {"in rotation": _GREEN, "held": _YELLOW}

type _Paint = Callable[[str, str], str]


def as_text(state: Mapping[str, Any], *, decisions: int = 5, colours: bool = False) -> str:
    """Targets and endpoints, pins, faults, and the latest fallbacks and rescues; no line end after the last.

    What the state does not say is left out.
    """
    paint = _painted if colours else _plain
    return "\n".join(line.rstrip() for line in _lines(state, decisions, paint))


def duration(seconds: float) -> str:
    """Seconds as people say them: `8 s`, `3 min`, `2 h 5 min`."""
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _lines(state: Mapping[str, Any], decisions: int, paint: _Paint) -> Iterator[str]:
    yield from _table([_HEADINGS, *_rows(state.get("targets", ()))], paint)
    if state.get("pins") or state.get("faults"):
        yield ""
    for pin in state.get("pins", ()):
        yield paint(f"pinned   {pin['host']} to {pin['target']}", _YELLOW)
    for fault in state.get("faults", ()):
        yield paint(f"fault {fault['id']:<2} {fault['place']}: {fault['text']}", _YELLOW)
    told = [each for each in state.get("decisions", ()) if each.get("instead_of") or each.get("rescue")]
    if told and decisions:
        yield ""
        yield paint("LATEST FALLBACKS", _BOLD)
        yield from (
            _printable(f"{each.get('status') or 'no answer'}  {each['text']}") for each in told[:decisions]
        )


def _rows(targets: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    for target in targets:
        endpoints: Sequence[Mapping[str, Any]] = target["endpoints"] or (
            {"address": "-", "state": "no endpoint"},
        )
        for number, endpoint in enumerate(endpoints):
            of_target = (str(target.get(name, "")) if not number else "" for name in ("requests", "failures"))
            yield (
                target["name"] if not number else "",
                endpoint["address"],
                _state(endpoint),
                _returns(endpoint),
                str(endpoint.get("active_requests", "")),
                *of_target,
            )


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


def _table(rows: Sequence[Sequence[str]], paint: _Paint) -> Iterator[str]:
    cleaned = [[_printable(cell) for cell in row] for row in rows]
    used = [at for at in range(len(_HEADINGS)) if any(row[at] for row in cleaned[1:]) or at < 3]
    widths = [max(len(row[at]) for row in cleaned) for at in range(len(_HEADINGS))]
    for number, row in enumerate(cleaned):
        cells = [row[at].rjust(widths[at]) if at > 3 else row[at].ljust(widths[at]) for at in used]
        if number:
            cells[2] = paint(cells[2], _COLOURS.get(row[2], _RED))
            yield _GAP.join(cells)
        else:
            yield paint(_GAP.join(cells), _BOLD)


def _printable(text: str) -> str:
    """The text without what a terminal would act upon."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def _painted(text: str, colour: str) -> str:
    return f"{colour}{text}{_PLAIN}"


def _plain(text: str, _: str) -> str:
    return text
