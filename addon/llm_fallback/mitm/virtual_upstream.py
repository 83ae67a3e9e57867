"""A server connection that is none: managed flows are fed by our engine through it.

mitmproxy's own upstream connections cannot retry, share nothing between clients, and turn a failed connect
into an HTML page. So `HttpLayer.get_connection` gives a managed flow a `VirtualUpstream`: an `HttpConnection`
layer like the one that would speak HTTP/1 to a server, but one that hands the request to an exchange of our
engine, and lets the pieces of its answer in again as events:

    HttpStream -> RequestHeaders, RequestData, RequestEndOfMessage -> VirtualUpstream
    VirtualUpstream -> _Run (a hook command) -> ConnectionHandler.hook_task, which fetches pieces
    pieces -> _Arrived (completes _Mailbox) -> VirtualUpstream -> ResponseHeaders, ResponseData, ...

An event finds its way to a layer, through TLS and CONNECT layers alike, as the completion of a command that
the layer has sent up before. `_Mailbox` is that command: it is sent up again for each batch, and ignored at
the top because it concerns a connection without a transport. It never blocks the layer, so that a client's
hang-up arrives at once.

All private names of mitmproxy that we rely on are in this module.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import dataclass
from typing import Any, Protocol

from mitmproxy import http
from mitmproxy.connection import ConnectionState, Server
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import (
    GetHttpConnection,
    GetHttpConnectionCompleted,
    HttpLayer,
    HttpStream,
    SendHttp,
)
from mitmproxy.proxy.layers.http._base import HttpConnection, ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    HttpEvent,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._http2 import Http2Server
from mitmproxy.proxy.layers.modes import DestinationKnown
from mitmproxy.proxy.server import ConnectionHandler, ConnectionIO

from llm_fallback.local_replies import INTERNAL_ERROR, Flag
from llm_fallback.upstream.answers import End, Head, Piece, local_pieces
from llm_fallback.upstream.defects import report
from llm_fallback.upstream.exchange import Exchange

_MAX_BACKLOG_BYTES = 256 * 1024
_BACKLOG_POLL_S = 0.02


class Carrier(Protocol):
    """Carries one managed flow."""

    def exchange(self, server: Server) -> Exchange:
        """The exchange for the flow's request, which is complete; `server` is to be told whom it is with."""

    def response(self, head: Head) -> http.Response:
        """The flow's response, as its head says."""

    def for_client(self, response: http.Response) -> http.Response:
        """The flow's response as the client is to get it, which may be more than the flow shows."""

    def ending(self) -> None:
        """The answer is about to be over."""


class Management(Protocol):
    """Tells what is managed."""

    def carrier(self, flow: http.HTTPFlow) -> Carrier | None:
        """Who carries the flow; None leaves it to mitmproxy."""

    def manages_address(self, host: str) -> bool:
        """Whether connections to the host are never opened by mitmproxy."""


_NOWHERE = Server(address=None)  # no handler has a transport for it


class _Mailbox(commands.ConnectionCommand):
    """The command whose completions carry answer pieces to a layer."""

    def __init__(self, owner: layer.Layer) -> None:
        super().__init__(_NOWHERE)
        self.blocking = owner  # completions are routed back; being no `True`, it blocks nobody


@dataclass(repr=False)
class _Arrived(events.CommandCompleted):
    """Answer pieces; none if the answer was cancelled."""

    command: _Mailbox
    reply: list[Piece]


@dataclass
class _Run(commands.StartHook):
    """Has the connection's handler fetch an answer, in a task of its own."""

    name = "llm_fallback_answer"
    blocking = False
    upstream: "VirtualUpstream"

    async def run(self, handler: ConnectionHandler) -> None:
        """Let the pieces in, each batch when the client has taken the one before."""
        upstream = self.upstream
        exchange: Exchange | None = None
        rest: list[Piece] = [End.BROKEN]
        try:
            exchange = upstream.begin(handler)
            with handler.timeout_watchdog.disarm():
                while upstream.is_wanted and not exchange.is_over:
                    await handler.server_event(_Arrived(upstream.mailbox, await exchange.pieces()))
                    await handler.drain_writers()
                    while upstream.backlog() > _MAX_BACKLOG_BYTES:  # noqa: ASYNC110 - nobody sets an event
                        await asyncio.sleep(_BACKLOG_POLL_S)
        except Exception as error:  # noqa: BLE001 - fail closed: the client gets an end of its request
            report(error)
            upstream.why_over = Flag.LOCAL_RESET
            rest = upstream.apology()
        finally:
            upstream.end(handler)
            if exchange:
                exchange.close(upstream.why_over)
            if upstream.is_waiting:  # or the layers above would remember the command for ever
                await handler.server_event(_Arrived(upstream.mailbox, rest))
            upstream.mailbox.blocking = False  # it knew its layer: both would be kept for a while


class VirtualUpstream(HttpConnection):
    """The layer in place of an HTTP client connection, for one exchange."""

    def __init__(
        self, context: Context, server: Server, http_layer: HttpLayer, flow: http.HTTPFlow, carrier: Carrier
    ) -> None:
        super().__init__(context, server)
        context.layers.remove(self)  # it is the last, and nobody asks: both would be kept by each other
        self.mailbox = _Mailbox(self)
        self._server = server
        self._http_layer = http_layer
        self._flow = flow
        self._carrier = carrier
        self._body = bytearray()
        self._stream_id = 0
        self._task: asyncio.Task[Any] | None = None
        self._exchange: Exchange | None = None
        self._has_head = False
        self._is_over = False
        self.has_body = False
        """Whether pieces of a body follow the head, which is there."""
        self.is_waiting = False
        self.why_over = Flag.DOWNSTREAM_CONNECTION_TERMINATION
        """What ends the exchange, if it does not end by itself."""

    @property
    def is_wanted(self) -> bool:
        """Whether there is still somebody for the answer."""
        client = self._http_layer.connections[self.context.client]
        # A reset that arrives together with the request's end is not passed on to the stream.
        is_reset = isinstance(client, Http2Server) and client.is_closed(self._stream_id)
        return not (self._is_over or is_reset) and self.context.client.connected

    def begin(self, handler: ConnectionHandler) -> Exchange:
        """Begin the exchange in the current task, which is cancelled if the client leaves."""
        self._task = asyncio.current_task()
        # As a connection of the handler, the task ends with the client's connection, whatever its layers say.
        handler.transports[self._server] = ConnectionIO(handler=self._task)
        self._exchange = self._carrier.exchange(self._server)
        return self._exchange

    def end(self, handler: ConnectionHandler) -> None:
        """The task is about to end, and nobody is to wait for anything any more."""
        handler.transports.pop(self._server, None)
        self._task = self._exchange = None

    def apology(self) -> list[Piece]:
        """What is left to say after a defect of ours: a 500, or a break if the answer has begun."""
        if self._has_head:
            return [End.BROKEN]
        return local_pieces(INTERNAL_ERROR, wall_time=time.time(), method=self._flow.request.method)

    def head_for_client(self, response: http.Response) -> ResponseHeaders:
        """The head of the answer for the client, who may be told that nothing follows."""
        return ResponseHeaders(self._stream_id, self._carrier.for_client(response), not self.has_body)

    def backlog(self) -> int:
        """Bytes that wait for the client's HTTP/2 flow control."""
        client = self._http_layer.connections[self.context.client]
        if not isinstance(client, Http2Server):
            return 0
        return sum(len(chunk.data) for chunk in client.h2_conn.stream_buffers.get(self._stream_id, ()))

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        match event:
            case _Arrived(reply=pieces):
                yield from self._let_in(pieces)
            case RequestHeaders(stream_id=stream_id):
                self._stream_id = stream_id
            case RequestData(data=data):
                self._body += data
            case RequestEndOfMessage():
                self._flow.request.data.content = bytes(self._body)
                yield from self._wait()
                yield _Run(self)
            case RequestProtocolError():
                self._give_up()
            case _:
                pass  # Start; trailers, which no provider reads

    def _let_in(self, pieces: list[Piece]) -> layer.CommandGenerator[None]:
        self.is_waiting = False
        for piece in pieces:
            if self._is_over:
                return
            yield ReceiveHttp(self._event(piece))
        if not self._is_over:
            yield from self._wait()

    def _event(self, piece: Piece) -> HttpEvent:
        """The event that a piece is to mitmproxy; a defect of ours ends the answer as a break does."""
        try:
            return self._translate(piece)
        except Exception as error:  # noqa: BLE001 - raised on, it would leave the client waiting
            report(error)
            self._is_over, self.why_over = True, Flag.LOCAL_RESET
            return self._translate(End.BROKEN)

    def _translate(self, piece: Piece) -> HttpEvent:
        match piece:
            case bytes():
                return ResponseData(self._stream_id, piece)
            case Head():
                self._has_head, self.has_body = True, piece.has_body
                response = self._carrier.response(piece)
                # As if a body followed: without one, mitmproxy sends what the flow shows instead.
                return ResponseHeaders(self._stream_id, response, piece.is_local and not piece.has_body)
            case End.COMPLETE:
                self._finish()
                return ResponseEndOfMessage(self._stream_id)
            case End.BROKEN:
                self._finish()
                message = "The provider stopped in the middle of its answer."
                return ResponseProtocolError(self._stream_id, message, ErrorCode.GENERIC_SERVER_ERROR)

    def _wait(self) -> layer.CommandGenerator[None]:
        self.is_waiting = True
        yield self.mailbox

    def _give_up(self) -> None:
        """The client has left: end the attempt, and have it told before mitmproxy saves the flow."""
        if self._task:
            self._task.cancel()
        if self._exchange:
            self._exchange.close()
        self._finish()

    def _finish(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._server.state = ConnectionState.CLOSED
            self._server.timestamp_end = time.time()
            self._carrier.ending()

    def is_done_with(self) -> bool:
        """Whether nobody will send anything to this connection any more."""
        return self._is_over and self._stream_id not in self._http_layer.streams


def install(management: Management) -> Callable[[], None]:
    """Have managed flows carried by us from now on; the result undoes it."""
    own_get_connection = HttpLayer.get_connection
    own_hook_task = ConnectionHandler.hook_task
    own_finish_start = DestinationKnown.finish_start

    def get_connection(
        self: HttpLayer, event: GetHttpConnection, *, reuse: bool = True
    ) -> layer.CommandGenerator[None]:
        stream = self.command_sources[event]
        try:
            carrier = management.carrier(stream.flow) if isinstance(stream, HttpStream) else None
        except Exception as error:  # noqa: BLE001 - fail closed: better no connection than the client's own
            report(error)
            return _get_no_connection(self, event)
        if carrier is None or not isinstance(stream, HttpStream):
            return own_get_connection(self, event, reuse=reuse)
        return _get_virtual_connection(self, event, stream, carrier)

    def hook_task(self: ConnectionHandler, hook: commands.StartHook) -> Awaitable[None]:
        return hook.run(self) if isinstance(hook, _Run) else own_hook_task(self, hook)

    def finish_start(self: DestinationKnown) -> layer.CommandGenerator[str | None]:
        address = self.context.server.address
        if address and management.manages_address(address[0]):
            # Reverse and SOCKS proxies open the connection first; ours is never opened.
            self._handle_event = self.child_layer.handle_event  # type: ignore[method-assign]
            yield from self.child_layer.handle_event(events.Start())
            return None
        return (yield from own_finish_start(self))

    HttpLayer.get_connection = get_connection  # type: ignore[method-assign]
    ConnectionHandler.hook_task = hook_task  # type: ignore[assignment, method-assign]
    DestinationKnown.finish_start = finish_start  # type: ignore[method-assign]

    def uninstall() -> None:
        HttpLayer.get_connection = own_get_connection  # type: ignore[method-assign]
        ConnectionHandler.hook_task = own_hook_task  # type: ignore[method-assign]
        DestinationKnown.finish_start = own_finish_start  # type: ignore[method-assign]

    return uninstall


def _get_no_connection(http_layer: HttpLayer, event: GetHttpConnection) -> layer.CommandGenerator[None]:
    stream = http_layer.command_sources.pop(event)
    yield from http_layer.event_to_child(
        stream, GetHttpConnectionCompleted(event, (None, INTERNAL_ERROR.body))
    )


def _get_virtual_connection(
    http_layer: HttpLayer, event: GetHttpConnection, stream: HttpStream, carrier: Carrier
) -> layer.CommandGenerator[None]:
    # Now, not when an exchange ends: while its stream is there, mitmproxy may still speak to its connection.
    for connection, known in list(http_layer.connections.items()):
        if isinstance(known, VirtualUpstream) and known.is_done_with():
            del http_layer.connections[connection]
    server = Server(address=event.address, id=f"{stream.flow.id}-upstream")  # a random one takes longer
    server.state, server.timestamp_start = ConnectionState.OPEN, time.time()
    # Like its `fork`, which makes a connection for nothing, with a random name, which takes longer.
    context = copy(http_layer.context)
    context.layers = list(context.layers)
    upstream = VirtualUpstream(context, server, http_layer, stream.flow, carrier)
    http_layer.connections[server] = upstream
    stream.start_response_stream = lambda: _start_response_stream(stream, upstream)  # type: ignore[method-assign]
    del http_layer.command_sources[event]
    yield from http_layer.event_to_child(stream, GetHttpConnectionCompleted(event, (server, None)))


def _start_response_stream(stream: HttpStream, upstream: VirtualUpstream) -> layer.CommandGenerator[None]:
    """What mitmproxy's own method does, less its log line for each streamed response."""
    if response := stream.flow.response:
        if not upstream.has_body:
            response.stream = True  # or another addon's function might put a body where none can be
        yield SendHttp(upstream.head_for_client(response), stream.context.client)
        stream.server_state = stream.state_stream_response_body
