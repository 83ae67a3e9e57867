"""Server-sent events out of the bytes of a stream (WHATWG HTML, 9.2.6). Pure."""

import re
from dataclasses import dataclass

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event: its type, empty where the stream names none, and its data."""

    type: str
    data: str


class SseParser:
    """Takes a stream in pieces; comments and fields that say nothing about content are dropped.

    `keep` bounds what is kept of a line and of an event's data, in bytes; the rest of it is lost.
    """

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self._line: list[bytes] = []
        self._line_size = 0
        self._is_first_line = True
        self._after_return = False
        self._type = ""
        self._data: list[bytes] = []
        self._data_size = 0

    def feed(self, piece: bytes) -> list[ServerSentEvent]:
        """The events that this piece completes."""
        if not piece:
            return []
        rest = piece[1:] if self._after_return and piece.startswith(b"\n") else piece
        self._after_return = piece.endswith(b"\r")
        end_of_line, *starts = _LINE_END.split(rest)
        self._extend(end_of_line)
        events: list[ServerSentEvent] = []
        for start in starts:
            if event := self._end_line():
                events.append(event)
            self._extend(start)
        return events

    def finish(self) -> ServerSentEvent | None:
        """The event that the stream's end leaves without its blank line, if there is one."""
        return self._end_line() or self._dispatch()

    def _extend(self, part: bytes) -> None:
        part = part[: max(0, self.keep - self._line_size)]
        if part:
            self._line.append(part)
            self._line_size += len(part)

    def _end_line(self) -> ServerSentEvent | None:
        line = b"".join(self._line)
        self._line, self._line_size = [], 0
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            if (room := self.keep - self._data_size) > 0:
                self._data.append(value[:room])
            self._data_size += (
                len(value) + 1
            )  # with the line's end, or empty lines would be kept without bound
        elif name == b"event":
            self._type = value.decode(errors="replace")
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        data = b"\n".join(self._data).decode(errors="replace")
        event = ServerSentEvent(self._type, data) if self._data else None
        self._type, self._data, self._data_size = "", [], 0
        return event
