"""The private parts of mitmproxy on which `virtual_upstream` stands: this fails when a version moves them."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.proxy import commands, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import GetHttpConnectionCompleted, HttpLayer, HttpStream, SendHttp
from mitmproxy.proxy.layers.http._base import HttpConnection, ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._http2 import Http2Server
from mitmproxy.proxy.layers.http._http_h2 import BufferedH2Connection
from mitmproxy.proxy.layers.modes import DestinationKnown
from mitmproxy.proxy.server import ConnectionHandler, TimeoutWatchdog

from llm_fallback.mitm import virtual_upstream

SIGNATURES: list[tuple[Callable[..., Any], list[str]]] = [
    (HttpLayer.get_connection, ["self", "event", "reuse"]),
    (HttpLayer.event_to_child, ["self", "child", "event"]),
    (HttpStream.start_response_stream, ["self"]),
    (HttpStream.state_stream_response_body, ["self", "event"]),
    (ConnectionHandler.hook_task, ["self", "hook"]),
    (ConnectionHandler.server_event, ["self", "event"]),
    (ConnectionHandler.drain_writers, ["self"]),
    (TimeoutWatchdog.disarm, ["self"]),
    (DestinationKnown.finish_start, ["self"]),
    (HttpConnection, ["context", "conn"]),
    (Context.fork, ["self"]),
    (ReceiveHttp, ["event"]),
    (SendHttp, ["event", "connection"]),
    (GetHttpConnectionCompleted, ["command", "reply"]),
    (RequestHeaders, ["stream_id", "request", "end_stream", "replay_flow"]),
    (RequestData, ["stream_id", "data"]),
    (RequestProtocolError, ["stream_id", "message", "code"]),
    (ResponseHeaders, ["stream_id", "response", "end_stream"]),
    (ResponseData, ["stream_id", "data"]),
    (ResponseEndOfMessage, ["stream_id"]),
    (ResponseProtocolError, ["stream_id", "message", "code"]),
]


@pytest.mark.parametrize(
    ("function", "parameters"), [pytest.param(f, p, id=f.__qualname__) for f, p in SIGNATURES]
)
def test_what_we_call_and_replace(function: Callable[..., Any], parameters: list[str]) -> None:
    """It takes what we give it, or gives what our replacement takes."""
    assert list(inspect.signature(function).parameters) == parameters


@pytest.mark.parametrize(
    ("owner", "attributes"),
    [
        (HttpLayer, ["connections", "command_sources", "context"]),
        (HttpStream, ["flow", "stream_id", "context"]),
        (ConnectionHandler, ["timeout_watchdog"]),
        (DestinationKnown, ["child_layer", "context"]),
        (Http2Server, ["h2_conn"]),
        (BufferedH2Connection, ["stream_buffers"]),
        (commands.Command, ["blocking"]),
        (commands.StartHook, ["name", "blocking"]),
    ],
)
def test_what_we_look_at(owner: type, attributes: list[str]) -> None:
    """It is declared on the class, or on one of its bases."""
    declared = {name for base in owner.__mro__ for name in (*vars(base), *inspect.get_annotations(base))}
    assert set(attributes) <= declared


def test_a_stream_has_a_state_for_the_server() -> None:
    """It is what our `start_response_stream` moves on, as mitmproxy's own does."""
    assert "self.server_state = self.state_stream_response_body" in inspect.getsource(
        HttpStream.start_response_stream
    )


def test_an_error_code_for_a_provider_that_stops() -> None:
    """It is the one that ends an HTTP/2 stream and an HTTP/1 connection without a clean end."""
    assert ErrorCode.GENERIC_SERVER_ERROR in ErrorCode


def test_a_layer_pauses_only_for_a_command_whose_blocking_is_true() -> None:
    """Our mailbox has an owner there, so that completions find their way back, and blocks nobody."""
    assert "command.blocking is True" in inspect.getsource(layer.Layer)


class NobodyIsManaged:
    """A `Management` of nothing."""

    def carrier(self, flow: http.HTTPFlow) -> None:
        """Nobody carries it."""

    def manages_address(self, host: str) -> bool:
        """No."""
        return not host


def methods() -> list[object]:
    """The methods that are replaced, as they are now."""
    return [HttpLayer.get_connection, ConnectionHandler.hook_task, DestinationKnown.finish_start]


def test_installing_can_be_undone() -> None:
    """Afterwards mitmproxy is as it was."""
    before = methods()
    uninstall = virtual_upstream.install(NobodyIsManaged())
    during = methods()
    uninstall()
    assert not [own for own, ours in zip(before, during, strict=True) if own is ours]
    assert methods() == before
