"""What is kept of an answer for those who look at its flow: bounded, and without what it repeats of a key."""

from dataclasses import dataclass

from mitmproxy import http

from llm_fallback.bodies import MAX_RATIO
from llm_fallback.echoes import Echoes
from llm_fallback.mitm import packed_bodies
from llm_fallback.upstream.defects import report
from llm_fallback.upstream.record import Record


@dataclass(frozen=True, slots=True, repr=False)
class KeptAnswer:
    """An upstream's answer so far, how it is packed, and whose credentials it may repeat."""

    record: Record
    echoes: Echoes
    packing: str = ""

    def show_in(self, flow: http.HTTPFlow) -> None:
        """Show the body, or as much of its beginning as is kept, whatever mitmproxy has kept of it.

        Where another addon has had the answer buffered, the client gets what the flow shows.
        """
        response = flow.response
        if response is None:
            return
        try:
            self._show_in(response)
        except Exception as error:  # noqa: BLE001 - fail closed: what is not looked through is not shown
            report(error)
            response.data.content = None

    def _show_in(self, response: http.Response) -> None:
        data, limit = response.data, packed_bodies.MAX_DECODED_BYTES
        if response.stream:
            data.content = self._without(self.record.beginning, response, limit)
        elif body := data.content:  # the client's, too: no less of it than there is, but for a bomb
            limit = max(limit, MAX_RATIO * len(body))
            data.content = shown = self._without(body, response, limit)
            if "content-length" in response.headers:
                response.headers["content-length"] = str(len(shown))

    def _without(self, body: bytes, response: http.Response, limit: int) -> bytes:
        """The body as it came, and as its header says: another addon may have changed either."""
        for packing in dict.fromkeys((self.packing, response.headers.get("content-encoding", ""))):
            body = packed_bodies.without(self.echoes, body, packing, limit=limit)
        return body
