"""What is kept of an answer for those who look at its flow: bounded, and without what it repeats of a key."""

from dataclasses import dataclass

from mitmproxy import http

from llm_fallback.echoes import Echoes
from llm_fallback.mitm import packed_bodies
from llm_fallback.upstream.defects import report
from llm_fallback.upstream.record import Record


@dataclass(frozen=True, slots=True, repr=False)
class KeptAnswer:
    """An upstream's answer so far, and whose credentials it may repeat."""

    record: Record
    echoes: Echoes

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
        data, encoding = response.data, response.headers.get("content-encoding", "")
        if response.stream:
            data.content = packed_bodies.without(self.echoes, self.record.beginning, encoding)
        elif data.content:
            data.content = packed_bodies.without(self.echoes, data.content, encoding)
            if "content-length" in response.headers:
                response.headers["content-length"] = str(len(data.content))
