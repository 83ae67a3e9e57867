"""Streams: the events put together to the answer that they make, with how fast they came."""

from collections.abc import Iterator

from llm_fallback.conversation import layout
from llm_fallback.conversation.draft import Draft
from llm_fallback.conversation.streamed import take
from llm_fallback.conversation.timing import UNKNOWN, Arrivals, timing_text
from llm_fallback.conversation.values import in_short, size
from llm_fallback.figures import tokens
from llm_fallback.sse import ServerSentEvent, SseParser

UNFINISHED = "[the stream ends here, unfinished]"
UNFINISHED_EVENT = "[the stream ends here, unfinished, in the middle of an event]"
_MAX_NOTES = 3


def stream_text(body: bytes, arrivals: Arrivals = UNKNOWN, left_out: int = 0) -> str | None:
    """The stream as text to read; None for one whose events are of no known shape.

    `left_out`: how many bytes of it, after those of the body, were not kept.
    """
    draft, said_at, strange = Draft(), list[float | None](), list[str]()
    events, is_cut = 0, False
    for at, event, is_whole in _events(body, arrivals):
        said, errors = draft.said, len(draft.errors)
        if is_whole or not left_out:
            events += 1
            is_json = take(event, draft)
            is_cut = not is_json and not is_whole
            if not is_json and is_whole:
                strange.append(f"[event {events} is no JSON: {in_short(event.data)}]")
        if draft.said > said or len(draft.errors) > errors:
            said_at.append(at)
    if not draft.api and not draft.errors:
        return None
    notes = _notes(draft, strange, left_out=left_out, is_cut=is_cut)
    timing = timing_text(arrivals, said_at, events, tokens(draft.usage)[1])
    return layout.answer(draft.answer(notes), timing)


def only_the_beginning(left_out: int) -> str:
    """The line that says how many bytes were not kept."""
    return f"[only the beginning was kept: {size(left_out)} more are not shown]"


def _events(body: bytes, arrivals: Arrivals) -> Iterator[tuple[float | None, ServerSentEvent, bool]]:
    """Each event, when it was complete, and whether it is: the last one may not be."""
    parser = SseParser(keep=len(body))
    begin, last_at = 0, None
    for at, end in arrivals.pieces:
        for event in parser.feed(body[begin:end]):
            yield at, event, True
        if begin < len(body):
            last_at = at
        begin = max(begin, end)
    for event in parser.feed(body[begin:]):
        yield None, event, True
    if last := parser.finish():
        yield (last_at if begin >= len(body) else None), last, False


def _notes(draft: Draft, strange: list[str], *, left_out: int, is_cut: bool) -> list[str]:
    notes = strange[:_MAX_NOTES]
    if len(strange) > _MAX_NOTES:
        notes.append(f"[and {len(strange) - _MAX_NOTES} more events that are no JSON]")
    if left_out:
        return [*notes, only_the_beginning(left_out)]
    if is_cut:
        return [*notes, UNFINISHED_EVENT]
    return notes if draft.is_finished or draft.errors else [*notes, UNFINISHED]
