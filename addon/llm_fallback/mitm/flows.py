"""Between flows and requests: what a client sent, and what people see of what was sent on.

A client's credentials leave the flow as soon as its headers are there and live in `Held`, in memory only, so
that no view, file or log that is made from the flow can hold them.
"""

import time
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from functools import lru_cache

from mitmproxy import http
from mitmproxy.connection import ConnectionState, Server

from llm_fallback.addresses import is_address
from llm_fallback.config.snapshot import Snapshot, Target
from llm_fallback.echoes import Fields
from llm_fallback.headers import Headers
from llm_fallback.messages import OriginalRequest, Outgoing
from llm_fallback.mitm.kept_answer import KeptAnswer
from llm_fallback.outlier import Endpoint
from llm_fallback.paths import normalised
from llm_fallback.redaction import (
    REDACTED,
    has_placeholder,
    is_credential,
    query_credentials,
    redact_header,
    redact_query,
    restore_query,
)
from llm_fallback.upstream.answers import Head

_REDACTED = REDACTED.encode()
_WITHOUT_LENGTH = frozenset({204, 304})  # RFC 9112, section 6.3
_LETTERS = _REDACTED.strip(b"[]")
_BLANK = http.Response(b"HTTP/1.1", 200, b"", http.Headers(), None, None, 0.0, None)
# Copied, for its constructor checks types by exceptions, which keep all that is on the stack until the
# collector comes: the exchange, the flow, their bodies.


@dataclass(slots=True, repr=False)
class Held:
    """What is kept for a flow outside of it: its credentials, whose host that was, and its snapshot.

    `query` are the `name=value` pairs of the query that were replaced; `answer` is there when the answer is.
    """

    snapshot: Snapshot
    host: str
    headers: Fields
    query: tuple[str, ...]
    answer: KeptAnswer | None = None


def managed_host(flow: http.HTTPFlow, snapshot: Snapshot) -> str | None:
    """The managed host that the flow's request is for, if it is for one.

    The host that the client connects to, or names in an absolute URL, comes first, whatever the Host header
    says. Only where the connection leads to a mere address (SOCKS, transparent and reverse proxies) does the
    header tell the name; a flow that is sent again goes to its address. It comes without the dot that a name
    may end with.
    """
    host = flow.request.data.host.removesuffix(".")
    if snapshot.manages(host):
        return host
    if flow.is_replay or flow.server_conn.address is None or not is_address(host):
        return None
    named = _host_header(flow.request).removesuffix(".")
    return named if named and snapshot.manages(named) else None


def hold_credentials(flow: http.HTTPFlow, snapshot: Snapshot, host: str) -> Held:
    """Take the client's credentials for the host out of the flow, and leave placeholders."""
    data = flow.request.data
    fields = data.headers.fields
    credentials = [field for field in fields if _has_credential(field)]
    if credentials:
        data.headers.fields = tuple(
            (field[0], _redact(*field)) if field in credentials else field for field in fields
        )
    query: tuple[str, ...] = ()
    if _may_have_query(data.path):
        path = decode(data.path)
        query = query_credentials(path)
        data.path = encode(redact_query(path))
    return Held(snapshot, host, tuple(field for field in credentials if not _is_placeholder(field)), query)


def original(flow: http.HTTPFlow, held: Held, host: str) -> OriginalRequest:
    """The request to a managed host as the client sent it, with what others have changed in it since.

    Credentials come back where their placeholders still are, if the flow still goes to the host that they
    were meant for. A placeholder itself is never sent: a replayed flow, say, has nothing else.
    """
    request, data = flow.request, flow.request.data
    mine = held.host == host
    path = normalised(restore_query(decode(data.path), held.query if mine else ()))
    headers = tuple(
        (decode(n), decode(v)) for n, v in _restored(data.headers.fields, held.headers if mine else ())
    )
    return OriginalRequest(
        request.method,
        host,
        data.port,
        path,
        headers,
        data.content or b"",
        request.scheme,
        _ends(flow.client_conn.peername),
        _ends(flow.client_conn.sockname),
        decode(data.authority),
        flow.id,
    )


def _ends(address: tuple[str, int] | tuple[str, int, int, int] | None) -> str:
    return str(Endpoint(address[0], address[1])) if address else ""


def drop_placeholders(flow: http.HTTPFlow) -> None:
    """Take the placeholders out of a flow that somebody has sent to a host that is not managed."""
    data = flow.request.data
    data.headers.fields = tuple(_restored(data.headers.fields, ()))
    data.path = encode(restore_query(decode(data.path), ()))


def _restored(fields: Fields, held: Fields) -> Iterator[tuple[bytes, bytes]]:
    """The fields with each placeholder replaced by the next credential of its name, or dropped."""
    left = list(held)
    for field in fields:
        if not _is_placeholder(field):
            yield field
            continue
        credential = next((kept for kept in left if kept[0].lower() == field[0].lower()), None)
        if credential:
            left.remove(credential)
            yield credential


def show_request(
    flow: http.HTTPFlow, server: Server, outgoing: Outgoing, target: Target, endpoint: Endpoint
) -> None:
    """Make the flow show what is sent, and the server connection where to; credentials are redacted."""
    data = flow.request.data
    path, headers = outgoing.shown()
    data.host, data.port = target.host, endpoint.port
    data.scheme = b"https" if target.tls else b"http"
    data.authority = b""
    data.path = encode(path)
    length = (("Content-Length", str(len(outgoing.body))),) if outgoing.body else ()
    data.headers = _headers((*headers, *length))
    data.content = outgoing.body
    server.state = ConnectionState.CLOSED  # an open connection's address cannot be changed
    server.address = server.peername = (endpoint.address, endpoint.port)  # the console asks for the latter
    server.state = ConnectionState.OPEN
    server.tls = target.tls is not None
    server.sni = target.tls.sni if target.tls else None


def response_of(flow: http.HTTPFlow, head: Head) -> http.Response:
    """The response that the client gets, framed for the client's own HTTP version."""
    headers = head.headers
    has_length = any(name.lower() == "content-length" for name, _ in headers)
    if not has_length and flow.request.data.http_version == b"HTTP/1.1":
        if head.has_body:
            headers = (*headers, ("transfer-encoding", "chunked"))
        elif flow.request.method != "HEAD" and head.status not in _WITHOUT_LENGTH:
            headers = (*headers, ("content-length", "0"))  # or only the connection's end would end it
    response = copy(_BLANK)
    data = response.data = copy(_BLANK.data)
    data.status_code, data.reason = head.status, head.reason.encode()
    data.headers, data.timestamp_start = _headers(headers), time.time()
    response.stream = not head.is_local
    return response


def encode(text: str) -> bytes:
    """Header text as bytes; those that were no UTF-8 come back as they were."""
    return text.encode("utf-8", "surrogateescape")


def decode(raw: bytes) -> str:
    """Header bytes as text, undone by `encode`."""
    return raw.decode("utf-8", "surrogateescape")


def _headers(headers: Headers) -> http.Headers:
    made = http.Headers()
    made.fields = tuple((encode(name), encode(value)) for name, value in headers)
    return made


def _host_header(request: http.Request) -> str:
    fields = request.data.headers.fields
    authority = request.data.authority or next((v for n, v in fields if n.lower() == b"host"), b"")
    if authority.endswith(b"]"):  # an IPv6 address without a port
        return decode(authority[1:-1])
    host, colon, port = authority.rpartition(b":")
    return decode(host.strip(b"[]") if colon and port.isdigit() else authority)


@lru_cache(maxsize=1024)
def _is_credential(name: bytes) -> bool:
    return is_credential(decode(name))


def _has_credential(field: tuple[bytes, bytes]) -> bool:
    """Whether a header is one, or a URL with one in its query, as in Referer."""
    name, value = field
    return _is_credential(name) or _has_query_credential(value)


def _has_query_credential(value: bytes) -> bool:
    return _may_have_query(value) and bool(query_credentials(decode(value)))


def _may_have_query(value: bytes) -> bool:
    """Of a path or any URL, escaped in another or not; few headers do, and all are asked."""
    return b"?" in value or b"#" in value or b"%" in value


def _is_placeholder(field: tuple[bytes, bytes]) -> bool:
    name, value = field
    if _LETTERS not in value:  # they are never escaped; the brackets may be
        return False
    if value == _REDACTED or (_is_credential(name) and value.endswith(_REDACTED)):
        return True
    return _may_have_query(value) and has_placeholder(decode(value))


def _redact(name: bytes, value: bytes) -> bytes:
    plain = decode(value)
    return encode(redact_header(decode(name), plain) if _is_credential(name) else redact_query(plain))
