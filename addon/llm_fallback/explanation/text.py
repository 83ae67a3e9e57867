"""An explanation as a short story in plain text. Pure."""

import textwrap
from collections.abc import Iterator

from llm_fallback.explanation import model, phrases
from llm_fallback.explanation.model import Explanation
from llm_fallback.wording import counted, printable

_LABEL = 9
_MAX_REJECTED = 10

type _Line = tuple[str, str]
"""A label, empty where a line goes on with the one before, and what it says."""


def as_text(explanation: Explanation, *, width: int = 100) -> str:
    """The story, in lines of at most `width` characters as far as words and URLs allow.

    There is no line end after the last one.
    """
    request = explanation.request
    lines = [printable(f"{request.method} {request.url}")]
    for label, text in _story(explanation):
        lines += textwrap.wrap(
            printable(text),
            len(label) + len(text) + _LABEL if label == "sends" else width,  # method and URL stay together
            initial_indent=label.ljust(_LABEL),
            subsequent_indent=" " * (_LABEL + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def _story(told: Explanation) -> Iterator[_Line]:
    if told.rules is None:
        yield "host", "not managed: the request passes through untouched"
        return
    yield from _rule(told)
    if told.fault:
        yield "faults", phrases.fault(told.fault)
    for destination in told.destinations:
        yield from _destination(destination, is_only=len(told.destinations) == 1)
    if told.answer:
        yield from _answer(told.answer)
    else:
        yield "limits", phrases.limits(told)
        if told.rescue:
            yield from _listed("rescues", *phrases.rescue(told.rescue))
        elif told.why_no_rescue:
            yield "rescues", f"never: {told.why_no_rescue}"
    yield from _besides(told)


def _rule(told: Explanation) -> Iterator[_Line]:
    if rule := told.rule:
        place = f"{rule.number} of {rule.of}" if rule.of > 1 else "the only one"
        held = f"the match at {rule.match} holds" if rule.match else "it takes every request"
        yield "rule", f"{rule.name}  {rule.source}  ({place}; {held})"
        yield from _changes(rule)
    elif told.rejected:
        yield "rule", f"none of the {counted(len(told.rejected), 'rule')} of {told.rules} matches"
    else:
        yield "rule", f"{told.rules}"
    for rejected in told.rejected[:_MAX_REJECTED]:
        reasons = "; ".join(f"{mismatch.why} ({mismatch.source})" for mismatch in rejected.mismatches)
        yield "", f"not {rejected.name}: {reasons}"
    if (more := len(told.rejected) - _MAX_REJECTED) > 0:
        yield "", f"nor {more} more"


def _destination(told: model.Destination, *, is_only: bool) -> Iterator[_Line]:
    share = "" if is_only else f"{told.percent:.4g} % of the requests: "
    yield from _place("target", told.target, told.name, before=share)
    yield from _changes(told)
    if fallback := told.fallback:
        yield from _place("fallback", fallback.place, fallback.name, after=f"; {fallback.why}")
    for link in told.chain:
        yield from _place("chain", link, link.name)
    if told.answer:
        yield from _answer(told.answer)
    elif not told.sent:
        yield "sends", "to whoever comes back first: all are ejected"
    if told.sent and (place := told.place):
        yield from _sent(told.sent, place)
        yield "pool", phrases.pool(place.limits)
        if len(place.endpoints) > 1 or place.per_address:
            yield "balances", phrases.balancing(place.balancing)
    for place in (told.target, None if told.uses is model.Use.TARGET else told.place):
        if place:
            name = f"{place.name} " if told.fallback or told.chain else ""
            yield "ejects", f"{name}{phrases.ejects(place.ejects, place.panic_threshold)}"


def _place(
    label: str, place: model.Place | None, name: str, *, before: str = "", after: str = ""
) -> Iterator[_Line]:
    """A target and the resources that describe it, a line for each."""
    what = phrases.place(place) if place else name
    yield from _listed(label, f"{before}{what}{after}", *(place.resources if place else ()))


def _changes(told: model.Rule | model.Destination) -> Iterator[_Line]:
    """What a rule or a destination does to headers."""
    for what, operations in ("requests", told.request_headers), ("answers", told.response_headers):
        if changes := ", ".join(phrases.operations(operations)):
            yield "", f"on {what} it {changes}"


def _listed(label: str, *texts: str) -> Iterator[_Line]:
    """Lines under one label."""
    yield from zip((label, *[""] * len(texts)), texts, strict=False)


def _sent(told: model.Sent, place: model.Place) -> Iterator[_Line]:
    yield "sends", f"{told.method} {told.url}"
    one_of = "one of " if len(told.endpoints) > 1 else ""
    hashed = ", chosen by its hash" if told.is_hashed else ""
    where = f"{one_of}{', '.join(told.endpoints)}{hashed}"
    yield "", f"to {where} {phrases.tls(place.tls, place.host)}"
    yield from (("", f"{name}: {value}") for name, value in told.headers if name != "Host")
    if told.withheld:
        yield "", f"without the client's {', '.join(told.withheld)}, which no other host gets"
    yield "", phrases.body(told.body)
    if told.config:
        yield "", phrases.config(told)


def _answer(told: model.Answer) -> Iterator[_Line]:
    flags = f" [{','.join(told.flags)}]" if told.flags else ""
    body = f" {told.body}" if told.body else ""
    yield "answers", f"{told.status}{body}{flags}: {told.why}; nothing is sent"
    yield from (("", f"{name}: {value}") for name, value in told.headers)


def _besides(told: Explanation) -> Iterator[_Line]:
    for mirror in told.mirrors:
        share = f"copies of {mirror.percent:g} % of the requests go to "
        missing = "" if mirror.place else ", which does not exist: none is sent"
        yield from _place("mirrors", mirror.place, mirror.name, before=share, after=missing)
    if told.cors_headers:
        granted = (f"{name}: {value}" for name, value in told.cors_headers)
        yield from _listed("cors", "the origin may read the answer", *granted)
    elif told.cors_headers is not None:
        yield "cors", "the answer is not opened to the request's origin, if it names one"
