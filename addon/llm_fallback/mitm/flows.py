"""Between flows and requests: what a client sent, and what people see of what was sent on.

A client's credentials leave the flow as soon as its headers are there and live in `Held`, in memory only, so
that no view, file or log that is made from the flow can hold them.
"""

import time
from dataclasses import dataclass

from mitmproxy import http
from mitmproxy.connection import ConnectionState, Server
from mitmproxy.net.http import status_codes

from llm_fallback.config.snapshot import Snapshot, Target
from llm_fallback.outlier import Endpoint
from llm_fallback.redaction import REDACTED, is_credential, redact_header, redact_query
from llm_fallback.rewriting import Headers, OriginalRequest, Outgoing
from llm_fallback.upstream.exchange import Head


@dataclass(frozen=True, slots=True, repr=False)
class Held:
    """What is kept for a flow outside of it: the client's credentials, and the snapshot it began with."""

    snapshot: Snapshot
    credentials: Headers
    path: str
    shown_path: str


def hold_credentials(flow: http.HTTPFlow, snapshot: Snapshot) -> Held:
    """Take the client's credentials out of the flow; placeholders stay."""
    request = flow.request
    credentials = [(n, v) for n, v in request.headers.items(multi=True) if is_credential(n)]
    for name in {name for name, _ in credentials}:
        request.headers.set_all(name, [redact_header(v) for v in request.headers.get_all(name)])
    path = request.path
    shown_path = redact_query(path)
    if shown_path != path:
        request.path = shown_path
    genuine = tuple((n, v) for n, v in credentials if not v.endswith(REDACTED))
    return Held(snapshot, genuine, path, shown_path)


def original(flow: http.HTTPFlow, held: Held) -> OriginalRequest:
    """The request as the client sent it, with what addons and people have changed in it since."""
    request = flow.request
    headers = [(n, v) for n, v in request.headers.items(multi=True) if not v.endswith(REDACTED)]
    overridden = {name.lower() for name, _ in headers if is_credential(name)}
    headers += [(n, v) for n, v in held.credentials if n.lower() not in overridden]
    path = held.path if request.path == held.shown_path else request.path
    body = request.raw_content or b""
    return OriginalRequest(request.method, request.pretty_host, request.port, path, tuple(headers), body)


def show_request(
    flow: http.HTTPFlow, server: Server, outgoing: Outgoing, target: Target, endpoint: Endpoint
) -> None:
    """Make the flow show what is sent, and the server connection where to; credentials are redacted."""
    request = flow.request.data
    path, headers = outgoing.shown()
    request.host, request.port = target.host, endpoint.port
    request.scheme = b"https" if target.tls else b"http"
    request.authority = b""
    request.path = path.encode("utf-8", "surrogateescape")
    request.headers = http.Headers(
        [(n.encode("utf-8", "surrogateescape"), v.encode("utf-8", "surrogateescape")) for n, v in headers]
    )
    if outgoing.body:
        request.headers["content-length"] = str(len(outgoing.body))
    request.content = outgoing.body
    server.state = ConnectionState.CLOSED  # an open connection's address cannot be changed
    server.address = (endpoint.address, endpoint.port)
    server.state = ConnectionState.OPEN
    server.tls = target.tls is not None
    server.sni = target.tls.sni if target.tls else None


def response_of(flow: http.HTTPFlow, head: Head) -> http.Response:
    """The response that the client gets, framed for the client's own HTTP version."""
    request = flow.request
    headers = http.Headers(
        [
            (n.encode("utf-8", "surrogateescape"), v.encode("utf-8", "surrogateescape"))
            for n, v in head.headers
        ]
    )
    if head.has_body and "content-length" not in headers and request.data.http_version == b"HTTP/1.1":
        headers["transfer-encoding"] = "chunked"
    reason = (head.reason or status_codes.RESPONSES.get(head.status, "")).encode("latin-1", "replace")
    now = time.time()
    response = http.Response(b"HTTP/1.1", head.status, reason, headers, None, None, now, None)
    response.stream = not head.is_local
    return response
