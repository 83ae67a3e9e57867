"""Server-sent events out of the bytes of a stream (WHATWG HTML, 9.2.6). Pure."""

import re
from dataclasses import dataclass

_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event: its type, empty where the stream names none, and its data."""

    type: str
    data: str


class SseParser:
    """Takes a stream in pieces; comments and fields that say nothing about content are dropped."""

    def __init__(self) -> None:
        self._rest = b""
        self._type = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> list[ServerSentEvent]:
        """The events that this piece completes."""
        text = self._rest + piece
        held = b"\r" if text.endswith(b"\r") else b""  # its \n may be still to come
        *lines, rest = _LINE_END.split(text.removesuffix(held) if held else text)
        self._rest = rest + held
        return [event for line in lines if (event := self._line(line)) is not None]

    @property
    def is_inside_event(self) -> bool:
        """Whether the stream has stopped in the middle of an event."""
        return bool(self._data or self._rest.strip())

    def _line(self, line: bytes) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value.decode(errors="replace"))
        elif name == b"event":
            self._type = value.decode(errors="replace")
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        event = ServerSentEvent(self._type, "\n".join(self._data)) if self._data else None
        self._type, self._data = "", []
        return event
