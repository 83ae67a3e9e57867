"""One managed flow on its way: the engine's view of it, and what the flow shows meanwhile."""

from mitmproxy import http
from mitmproxy.connection import Server

from llm_fallback.config.snapshot import Target
from llm_fallback.events import Handled
from llm_fallback.messages import Outgoing
from llm_fallback.mitm import flows, story
from llm_fallback.outlier import Endpoint
from llm_fallback.upstream.answers import Head
from llm_fallback.upstream.engine import Engine
from llm_fallback.upstream.exchange import Exchange

METADATA = "llm_fallback"
"""The key of the decision in `flow.metadata`: plain data, so that it is saved with the flow."""

MAX_SHOWN_BYTES = 1024 * 1024
"""How much of an answer is kept for the flow view; answers pass through and are not buffered for it."""


class Carriage:
    """Connects a flow to the engine: a `Carrier` to mitmproxy, an `Observer` to the exchange."""

    def __init__(self, engine: Engine, flow: http.HTTPFlow, held: flows.Held, host: str) -> None:
        self._engine = engine
        self._host = host
        self._flow = flow
        self._held = held
        self._server: Server | None = None
        self._closes_client = False
        self._body: list[bytes] = []
        self._size = 0

    def exchange(self, server: Server) -> Exchange:
        """The exchange for the flow's request."""
        self._server = server
        request = flows.original(self._flow, self._held, self._host)
        self._closes_client = any(
            n.lower() == "connection" and "close" in v.lower() for n, v in request.headers
        )
        return self._engine.exchange(self._held.snapshot, request, self)

    def response(self, head: Head) -> http.Response:
        """The flow's response; a client that wants the connection closed is told that it will be."""
        response = flows.response_of(self._flow, head)
        if self._closes_client:
            response.headers["connection"] = "close"
        return response

    def passing(self, data: bytes) -> None:
        """Keep a copy for the flow view, within the bound."""
        self._size += len(data)
        if self._size <= MAX_SHOWN_BYTES:
            self._body.append(data)

    def ending(self) -> None:
        """Show the answer's body if it is within the bound."""
        response = self._flow.response
        if response and response.stream and self._size <= MAX_SHOWN_BYTES:
            response.data.content = b"".join(self._body)

    def attempting(self, outgoing: Outgoing, target: Target, endpoint: Endpoint) -> None:
        """Show what is sent where."""
        if self._server:
            flows.show_request(self._flow, self._server, outgoing, target, endpoint)

    def handled(self, event: Handled) -> None:
        """Say why, on the flow."""
        self._flow.metadata[METADATA] = story.as_data(event)
        self._flow.comment = story.summary(event)
