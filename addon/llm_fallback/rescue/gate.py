"""Whether an answer is one: it is held until it says something, or until it is whole. Pure.

Streams of events are followed event by event, JSON is judged when it is complete, and everything else is let
through at once.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from enum import StrEnum

from llm_fallback import completions
from llm_fallback.completions import Said
from llm_fallback.resources.llmfallbackpolicy import Hold
from llm_fallback.sse import ServerSentEvent, SseParser

MAX_HELD_BYTES = 16 * 1024 * 1024
"""An answer that is larger is let through unjudged."""

MAX_ERROR_BYTES = 64 * 1024
"""A longer error is not passed on."""

_FOLLOWED_BYTES = 64 * 1024  # of an event that has been let through: enough to know a ping from a word


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
        self._parser = SseParser(MAX_HELD_BYTES)
        self._size = 0
        self._body: list[bytes] = []
        self._has_content = False
        self._has_end = False
        self._tool_calls: dict[str, list[str]] = defaultdict(list)
        self.has_progressed = False
        """Whether the last piece of a stream said something; comments, pings and empty deltas do not."""
        self.error = ""
        """What an error said, as JSON; empty if that is too long."""

    def feed(self, piece: bytes) -> Verdict:
        """Take a piece; what is known now."""
        self._size += len(piece)
        self.has_progressed = False
        verdict = Verdict.PENDING
        if self.is_stream:
            verdict = self._feed_events(piece)
        elif self._is_json:
            self._body.append(piece)
        elif piece:
            return Verdict.GOOD
        return Verdict.GOOD if verdict is Verdict.PENDING and self._size > MAX_HELD_BYTES else verdict

    def follow(self, piece: bytes) -> bool:
        """Whether a piece of an answer that is already let through says something."""
        if not self.is_stream:
            return bool(piece)
        self._parser.keep = _FOLLOWED_BYTES
        return any(completions.of_event(event) for event in self._parser.feed(piece))

    def end(self, *, is_cut: bool) -> Verdict:
        """The answer has ended, or was cut; what is known of the whole."""
        if is_cut:
            return self._counted(Verdict.CUT)
        if self.is_stream:
            return self._end_of_events()
        if not self._is_json:
            return Verdict.GOOD
        whole = b"".join(self._body)
        verdict = self._judged(completions.of_answer(whole), whole)
        if verdict is Verdict.GOOD and self._holds_all:
            return self._checked(completions.tool_call_arguments(whole))
        return verdict

    def _feed_events(self, piece: bytes) -> Verdict:
        for event in self._parser.feed(piece):
            verdict = self._take(event)
            if verdict is not Verdict.PENDING:
                return verdict
        return Verdict.PENDING

    def _take(self, event: ServerSentEvent) -> Verdict:
        said = completions.of_event(event)
        self.has_progressed = self.has_progressed or bool(said)
        if said & (Said.ERROR | Said.INVALID):
            return self._judged(said, event.data.encode())
        self._has_content = self._has_content or bool(said & Said.CONTENT)
        self._has_end = self._has_end or bool(said & (Said.STOP | Said.END))
        if self._holds_all:
            for call, part in completions.tool_call_pieces(event):
                self._tool_calls[call].append(part)
        elif self._has_content:
            return Verdict.GOOD
        return self._whole() if said & Said.END else Verdict.PENDING

    def _end_of_events(self) -> Verdict:
        verdict = Verdict.PENDING
        if last := self._parser.finish():
            verdict = self._take(last)
        if verdict is Verdict.INVALID:
            return self._counted(Verdict.CUT)  # in the middle of an event
        return self._whole() if verdict is Verdict.PENDING else verdict

    def _whole(self) -> Verdict:
        """What a stream was that is over, and has said no error."""
        if not self._has_end:
            return self._counted(Verdict.CUT)
        if not self._has_content:
            return self._counted(Verdict.EMPTY)
        return self._checked(map("".join, self._tool_calls.values()))

    def _checked(self, tool_calls: Iterable[str]) -> Verdict:
        """A tool call whose arguments are no JSON is one that was cut."""
        is_cut = any(map(completions.broken_tool_call, tool_calls))
        return self._counted(Verdict.CUT) if is_cut else Verdict.GOOD

    def _judged(self, said: Said, json_text: bytes) -> Verdict:
        if said & Said.ERROR:
            if len(json_text) <= MAX_ERROR_BYTES:
                self.error = json_text.decode(json.detect_encoding(json_text), "replace")
            return self._counted(Verdict.ERROR)
        if said & Said.INVALID:
            return self._counted(Verdict.INVALID)
        return Verdict.GOOD if said & Said.CONTENT else self._counted(Verdict.EMPTY)

    def _counted(self, verdict: Verdict) -> Verdict:
        return Verdict.GOOD if verdict in self._ignored else verdict
