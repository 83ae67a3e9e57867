"""What an attempt sends: the client's original request, made into one for the chosen target. Pure.

Every attempt starts from the original, never from the attempt before. What belongs to the client's credential
goes to the host that the client addressed and nowhere else; the provider's key is added below the flow, by
`upstream`, and is only referred to here.
"""

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import SecretStr

from llm_fallback.config.snapshot import CHAT_COMPLETIONS, Provider, Target
from llm_fallback.json_members import Value, set_members
from llm_fallback.redaction import drop_query_credentials, is_credential, redact_header, redact_query

type Headers = tuple[tuple[str, str], ...]

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_OUR_OWN = frozenset({"content-length", "expect", "host"})  # between us and the target, not the client
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PATH = re.compile(r"(/[^\x00-\x20\x7f#]*)?")
_LINE_END = re.compile(r"[\r\n\x00]")
_MAX_DECODED_BYTES = 64 * 1024 * 1024
_ZLIB_WINDOW = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


@dataclass(frozen=True, slots=True, repr=False)
class OriginalRequest:
    """The request as the client sent it, credentials included: never logged, never stored."""

    method: str
    host: str
    port: int
    path: str
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Outgoing:
    """The request as the target gets it; `api_key` is still to be put into `Authorization`."""

    method: str
    path: str
    headers: Headers
    body: bytes
    api_key: SecretStr | None

    def shown(self) -> tuple[str, Headers]:
        """Path and headers for people: every credential, the provider's key among them, is redacted."""
        headers = [(n, redact_header(n, v) if is_credential(n) else v) for n, v in self.headers]
        if self.api_key:
            headers.append(("Authorization", redact_header("Authorization", "Bearer ")))
        return redact_query(self.path), tuple(headers)


def is_well_formed(request: OriginalRequest) -> bool:
    """Whether the request can be sent on as it is, without becoming another one on the way.

    HTTP/2 clients can put into paths and values what would end a line of HTTP/1; Envoy answers 400 as well.
    """
    if not _TOKEN.fullmatch(request.method) or not _PATH.fullmatch(request.path):
        return False
    return all(_TOKEN.fullmatch(name) and not _LINE_END.search(value) for name, value in request.headers)


def rewrite(request: OriginalRequest, target: Target, addressed: Provider | None) -> Outgoing:
    """The request for a target; `addressed` is the provider of the host that the client called, if any."""
    provider = target.provider
    is_own_host = target.host == request.host.lower()
    path = request.path if is_own_host else drop_query_credentials(request.path)
    if provider:
        path = _path(path, provider, addressed)
    api_key = provider.api_key if provider else None
    headers = _headers(request.headers, with_credentials=is_own_host, with_authorization=api_key is None)
    body = request.body
    if provider and _is_chat(path, provider):
        headers, body = _body(headers, body, provider)
    return Outgoing(request.method, path, (("Host", _authority(request, target)), *headers), body, api_key)


def end_to_end(headers: Iterable[tuple[str, str]]) -> Headers:
    """The headers without those that concern one connection only (RFC 9110, section 7.6.1)."""
    fields = list(headers)
    connection = ",".join(value for name, value in fields if name.lower() == "connection")
    named = {option.strip().lower() for option in connection.split(",")}
    return tuple((n, v) for n, v in fields if n.lower() not in _HOP_BY_HOP and n.lower() not in named)


def _authority(request: OriginalRequest, target: Target) -> str:
    """The Host header: a provider's own host, and otherwise what the client wrote, as Envoy leaves it."""
    if target.provider:
        return target.host
    written = next((value for name, value in request.headers if name.lower() == "host"), None)
    default = request.host if request.port in (80, 443) else f"{request.host}:{request.port}"
    return default if written is None else written


def _path(path: str, provider: Provider, addressed: Provider | None) -> str:
    """The provider's own path for chat, and its base in place of the addressed provider's for the rest."""
    if provider.path is None:
        return path
    before, question, query = path.partition("?")
    if before in ("", "/") or before.endswith(CHAT_COMPLETIONS) or (addressed and before == addressed.path):
        return f"{provider.path}{question}{query}"
    bases = ["/v1"] if addressed is None or addressed.base is None else ["/v1", addressed.base]
    under = [base for base in bases if before.startswith(f"{base}/")]
    if provider.base is None or not under:
        return path
    return f"{provider.base}{before.removeprefix(max(under, key=len))}{question}{query}"


def _is_chat(path: str, provider: Provider) -> bool:
    before = path.partition("?")[0]
    return before.endswith(CHAT_COMPLETIONS) if provider.path is None else before == provider.path


def _headers(headers: Headers, *, with_credentials: bool, with_authorization: bool) -> Headers:
    def stays(name: str) -> bool:
        lowered = name.lower()
        if lowered in _OUR_OWN or (lowered == "authorization" and not with_authorization):
            return False
        return with_credentials or not is_credential(name)

    return tuple((name, value) for name, value in end_to_end(headers) if stays(name))


def _body(headers: Headers, body: bytes, provider: Provider) -> tuple[Headers, bytes]:
    """Set the provider's model and default for `stream`; a compressed body is sent on uncompressed."""
    always: dict[str, Value] = {} if provider.model is None else {"model": provider.model}
    default: dict[str, Value] = {} if provider.stream is None else {"stream": provider.stream}
    if not body or not (always or default):
        return headers, body
    encoding = next((v.strip().lower() for n, v in headers if n.lower() == "content-encoding"), "identity")
    plain = _decode(body, encoding)
    changed = set_members(plain, always=always, unless_present=default) if plain is not None else None
    if changed is None:
        return headers, body
    return tuple((n, v) for n, v in headers if n.lower() != "content-encoding"), changed


def _decode(body: bytes, encoding: str) -> bytes | None:
    """The plain body; None for an encoding that is not undone here or a body that is not what it says."""
    if encoding == "identity":
        return body
    if encoding not in _ZLIB_WINDOW:
        return None
    decoder = zlib.decompressobj(_ZLIB_WINDOW[encoding])
    try:
        plain = decoder.decompress(body, _MAX_DECODED_BYTES)
    except zlib.error:
        return None
    return plain if decoder.eof and not decoder.unused_data else None
