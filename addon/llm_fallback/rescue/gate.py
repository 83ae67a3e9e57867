"""Whether an answer is one: it is held until it says something, or until it is whole. Pure.

Streams of events are followed event by event, JSON is judged when it is complete, and everything else is let
through at once.
"""

from collections import defaultdict
from enum import StrEnum

from llm_fallback import completions
from llm_fallback.completions import Said
from llm_fallback.config.rescue import Hold
from llm_fallback.sse import ServerSentEvent, SseParser

MAX_HELD_BYTES = 16 * 1024 * 1024
"""An answer that is larger is let through unjudged."""


class Verdict(StrEnum):
    """What is known of an answer so far; all but the first two are failures, by the policy's words."""

    PENDING = "pending"
    GOOD = "good"
    ERROR = "error-answer"
    EMPTY = "empty-answer"
    INVALID = "invalid-answer"
    CUT = "cut-answer"


class AnswerGate:
    """Judges one answer from its bytes; once it is good it stays so."""

    def __init__(self, content_type: str, hold: Hold, ignored: frozenset[Verdict] = frozenset()) -> None:
        """`ignored` are verdicts that the policy does not count as failures."""
        media = content_type.partition(";")[0].strip().lower()
        self.is_stream = media == "text/event-stream"
        self._is_json = media == "application/json" or media.endswith("+json")
        self._holds_all = hold is Hold.WHOLE_ANSWER
        self._ignored = ignored
        self._parser = SseParser()
        self._size = 0
        self._body: list[bytes] = []
        self._has_content = False
        self._has_end = False
        self._tool_calls: dict[str, list[str]] = defaultdict(list)
        self.has_progressed = False
        """Whether the last piece had an event that is not a mere sign of life."""

    def feed(self, piece: bytes) -> Verdict:
        """Take a piece; what is known now."""
        self._size += len(piece)
        if self.is_stream:
            return self._feed_events(piece)
        self.has_progressed = bool(piece)
        if not self._is_json or self._size > MAX_HELD_BYTES:
            return Verdict.GOOD
        self._body.append(piece)
        return Verdict.PENDING

    def follow(self, piece: bytes) -> bool:
        """Whether a piece of an answer that is already let through has a sign of progress in it."""
        if not self.is_stream:
            return bool(piece)
        return any(event.type != "ping" for event in self._parser.feed(piece))

    def end(self, *, is_cut: bool) -> Verdict:
        """The answer has ended, or was cut; what is known of the whole."""
        if is_cut:
            return self._counted(Verdict.CUT)
        if not self.is_stream:
            return (
                self._judged(completions.of_answer(b"".join(self._body))) if self._is_json else Verdict.GOOD
            )
        if not self._has_content:
            return self._counted(Verdict.EMPTY)
        if not self._has_end or self._parser.is_inside_event:
            return self._counted(Verdict.CUT)
        if any(completions.broken_tool_call("".join(pieces)) for pieces in self._tool_calls.values()):
            return self._counted(Verdict.INVALID)
        return Verdict.GOOD

    def _feed_events(self, piece: bytes) -> Verdict:
        self.has_progressed = False
        for event in self._parser.feed(piece):
            verdict = self._take(event)
            if verdict not in (Verdict.PENDING, Verdict.GOOD):
                return verdict
        if self._size > MAX_HELD_BYTES:
            return Verdict.GOOD
        return Verdict.GOOD if self._has_content and not self._holds_all else Verdict.PENDING

    def _take(self, event: ServerSentEvent) -> Verdict:
        said = completions.of_event(event)
        self.has_progressed = self.has_progressed or event.type != "ping"
        if said in (Said.ERROR, Said.INVALID):
            verdict = self._judged(said)
            self._has_content = self._has_content or verdict is Verdict.GOOD
            return verdict
        if said is Said.CONTENT:
            self._has_content = True
        if said is Said.END:
            self._has_end = True
        if self._holds_all:
            for call, part in completions.tool_call_pieces(event):
                self._tool_calls[call].append(part)
        return Verdict.PENDING

    def _judged(self, said: Said) -> Verdict:
        match said:
            case Said.ERROR:
                return self._counted(Verdict.ERROR)
            case Said.INVALID:
                return self._counted(Verdict.INVALID)
            case Said.NOTHING:
                return self._counted(Verdict.EMPTY)
            case Said.CONTENT | Said.END:
                return Verdict.GOOD

    def _counted(self, verdict: Verdict) -> Verdict:
        return Verdict.GOOD if verdict in self._ignored else verdict
