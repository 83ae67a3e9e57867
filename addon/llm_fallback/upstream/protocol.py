"""How answers are read off a connection: as aiohttp does, and as Envoy does where bytes are no HTTP."""

import re

from aiohttp import ClientPayloadError
from aiohttp.client_proto import ResponseHandler

_END_OF_HEAD = re.compile(rb"\A[\r\n]+|\r\n\r\n")  # the first is what is left of one that came in two pieces


class Protocol(ResponseHandler):
    """One connection.

    Bytes that are no HTTP break the body that is being read, and take nothing with them that came before.
    """

    def data_received(self, data: bytes) -> None:
        """Parse what has come; heads by themselves, for aiohttp loses one together with what follows it."""
        start = 0
        while not self._has_body and (found := _END_OF_HEAD.search(data, start)):
            super().data_received(data[start : found.end()])
            start = found.end()
        if start < len(data) or not data:  # nothing: it shall go on with what it has kept
            super().data_received(data[start:])
        if self._payload is not None and self._has_body and self.exception() is not None:
            # aiohttp has closed the connection, and told who awaits a head; who reads a body would wait on.
            self._payload.set_exception(ClientPayloadError("malformed"))

    @property
    def _has_body(self) -> bool:
        """Whether the body of an answer is under way."""
        return self._payload is not None and not self._payload.is_eof()
