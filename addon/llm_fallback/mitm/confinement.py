"""What is for a managed host goes by its rules, or nowhere: mitmproxy itself opens no connection there.

mitmproxy takes a client's bytes for HTTP only if their beginning looks like it, and passes everything else on
unread, to where the client has said. An empty line before a request, or a request whose first bytes come
alone, would be a way around all rules.
"""

import logging

from mitmproxy.proxy.events import DataReceived
from mitmproxy.proxy.layer import Layer, NextLayer
from mitmproxy.proxy.layers import ClientTLSLayer, HttpLayer, ServerTLSLayer, modes
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from llm_fallback.config.snapshot import Snapshot

logger = logging.getLogger("llm-fallback")

_TLS_HANDSHAKE = b"\x16"
_FIRST_LAYERS = (modes.HttpProxy, modes.HttpUpstreamProxy, modes.ReverseProxy)


def take_for_http(asked: NextLayer, snapshot: Snapshot) -> None:
    """Decide that a client speaks HTTP to a managed host, inside TLS or not, whatever it looks like."""
    context = asked.context
    if asked.layer or isinstance(context.layers[-1], _FIRST_LAYERS):
        return
    hosts = (context.server.address[0] if context.server.address else None, context.client.sni)
    if context.client.transport_protocol == "tcp" and any(host and snapshot.manages(host) for host in hosts):
        asked.layer = _layer(asked)


def _layer(asked: NextLayer) -> Layer:
    if not asked.data_client().startswith(_TLS_HANDSHAKE):
        for event in asked.events:
            if isinstance(event, DataReceived):
                event.data = event.data.lstrip(b"\r\n")  # RFC 9112, 2.2; mitmproxy would wait for more
        return HttpLayer(asked.context, HTTPMode.transparent)
    tls = ServerTLSLayer(asked.context)
    tls.child_layer = ClientTLSLayer(asked.context)
    return tls


def refuse(connecting: ServerConnectionHookData, snapshot: Snapshot) -> None:
    """Have a connection to a managed host fail before it is opened."""
    address = connecting.server.address
    if address and snapshot.manages(address[0]):
        connecting.server.error = "only what its rules say goes to a managed host"
        logger.warning("refused a connection to %s: %s", address[0], connecting.server.error)
