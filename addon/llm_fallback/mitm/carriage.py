"""One managed flow on its way: the engine's view of it, and what the flow shows meanwhile."""

from mitmproxy import http
from mitmproxy.connection import Server

from llm_fallback import story
from llm_fallback.config.snapshot import Target
from llm_fallback.echoes import Echoes, Field
from llm_fallback.events import Handled
from llm_fallback.messages import Outgoing
from llm_fallback.mitm import flows
from llm_fallback.mitm.attempt_flows import LOST, AttemptFlows
from llm_fallback.mitm.kept_answer import KeptAnswer
from llm_fallback.outlier import Endpoint
from llm_fallback.upstream.answers import Head
from llm_fallback.upstream.engine import Engine
from llm_fallback.upstream.exchange import Exchange
from llm_fallback.upstream.shared import LostAttempt

METADATA = "llm_fallback"
"""The key of the decision in `flow.metadata`: plain data, so that it is saved with the flow."""

_MARKER_OF = {
    story.Result.FELL_BACK: ":twisted_rightwards_arrows:",
    story.Result.RESCUED: ":ambulance:",
    story.Result.FAILED: ":x:",
    story.Result.GIVEN_UP: ":hourglass:",
}
MARKERS = frozenset({*_MARKER_OF.values(), LOST})
"""Those that flows have from us, and from nobody else."""


class Carriage:
    """Connects a flow to the engine: a `Carrier` to mitmproxy, an `Observer` to the exchange."""

    def __init__(
        self,
        engine: Engine,
        flow: http.HTTPFlow,
        held: flows.Held,
        host: str,
        attempts: AttemptFlows | None = None,
    ) -> None:
        self._engine = engine
        self._host = host
        self._flow = flow
        self._held = held
        self._attempts = attempts
        self._server: Server | None = None
        self._exchange: Exchange | None = None
        self._closes_client = False
        self._sent: list[Outgoing] = []
        self._hidden: tuple[tuple[Field, Field], ...] = ()

    def exchange(self, server: Server) -> Exchange:
        """The exchange for the flow's request."""
        self._server = server
        request = flows.original(self._flow, self._held, self._host)
        self._closes_client = any(
            n.lower() == "connection" and "close" in v.lower() for n, v in request.headers
        )
        self._exchange = self._engine.exchange(self._held.snapshot, request, self)
        return self._exchange

    def response(self, head: Head) -> http.Response:
        """The flow's response; a client that wants the connection closed is told that it will be."""
        response = flows.response_of(self._flow, head)
        if self._closes_client:
            response.headers["connection"] = "close"
        if head.is_local or not self._exchange:
            return response
        echoes = Echoes(self._sent)
        packing = response.headers.get("content-encoding", "")
        self._held.answer = KeptAnswer(self._exchange.record, echoes, packing)
        sent = response.data.headers.fields
        shown = response.data.headers.fields = echoes.fields(sent)
        if shown is not sent:
            self._hidden = tuple(zip(shown, sent, strict=True))
        return response

    def for_client(self, response: http.Response) -> http.Response:
        """The response as the client gets it: with the headers that the flow does not show."""
        if not self._hidden:
            return response
        left: dict[Field, list[Field]] = {}
        for shown, sent in reversed(self._hidden):
            left.setdefault(shown, []).append(sent)
        whole = response.copy()
        whole.data.headers.fields = tuple(
            left[field].pop() if left.get(field) else field for field in response.data.headers.fields
        )
        return whole

    def ending(self) -> None:
        """Let go of the exchange, which knows us: together they would be kept until the collector comes."""
        self._exchange = None

    def attempting(self, outgoing: Outgoing, target: Target, endpoint: Endpoint) -> None:
        """Show what is sent where."""
        self._sent.append(outgoing)
        if self._server:
            flows.show_request(self._flow, self._server, outgoing, target, endpoint)

    def lost(self, attempt: LostAttempt) -> None:
        """Show the attempt beside the flow."""
        if self._attempts:
            self._attempts.show(self._flow, attempt)

    def handled(self, event: Handled) -> None:
        """Say why, on the flow."""
        data = story.as_data(event)
        if self._exchange:
            record = self._exchange.record
            data["arrivals"] = record.arrivals(since=self._exchange.began)
            data["shown_bytes"] = record.shown_bytes
        self._flow.metadata[METADATA] = data
        self._flow.comment = story.comment(event)
        if (marker := _MARKER_OF.get(story.result(event))) and not self._flow.marked:
            self._flow.marked = marker
