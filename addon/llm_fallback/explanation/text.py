"""An explanation as a short story in plain text. Pure."""

import textwrap
from collections.abc import Iterable, Iterator

from llm_fallback.config.routes import Fault, HeaderOperations
from llm_fallback.explanation import model, phrases
from llm_fallback.explanation.model import Explanation

_LABEL = 9

type _Line = tuple[str, str]
"""A label, empty where a line goes on with the one before, and what it says."""


def as_text(explanation: Explanation, *, width: int = 100) -> str:
    """The story, in lines of at most `width` characters where words and URLs allow it; no line end at the end."""
    request = explanation.request
    lines = [f"{request.method} {request.url}"]
    for label, text in _story(explanation):
        lines += textwrap.wrap(
            _printable(text),
            width,
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
        yield from (("faults", text) for text in phrases.fault(told.fault))
    if told.answer:
        yield from _answer(told.answer)
        yield "sends", "nothing"
        return
    for destination in told.destinations:
        yield from _destination(destination, is_only=len(told.destinations) == 1)
    yield "limits", phrases.limits(told)
    yield from _besides(told)
