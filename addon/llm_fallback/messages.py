"""Requests as clients send them, and as targets get them. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from pydantic import SecretStr

from llm_fallback import header_operations
from llm_fallback.config.snapshot import CHAT_COMPLETIONS
from llm_fallback.headers import Headers
from llm_fallback.matching import RequestFacts
from llm_fallback.redaction import REDACTED, redact_header, redact_query, redact_value
from llm_fallback.resources.base import Expanded

ATTEMPT_COUNT, EXPECTED_TIMEOUT = "x-envoy-attempt-count", "x-envoy-expected-rq-timeout-ms"
HOP_BY_HOP = frozenset(
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
"""Headers between two hops (RFC 9110, section 7.6.1)."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PATH = re.compile(r"(/[^\x00-\x20\x7f#]*)?")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # in a value, a tab is as good as a space


@dataclass(frozen=True, slots=True, repr=False)
class OriginalRequest:
    """The request as the client sent it, credentials included: never logged, never stored.

    `client` and `proxy` are the two ends of the client's connection, `address:port` each.
    """

    method: str
    host: str
    port: int
    path: str
    headers: Headers
    body: bytes
    scheme: str = "http"
    client: str = ""
    proxy: str = ""
    named: str = ""
    """The authority of the request line (an absolute URL) or of HTTP/2, which counts before a Host header."""
    id: str = ""
    """Unique to the request, for people."""

    @property
    def authority(self) -> str:
        """The host as the client wrote it, with or without port."""
        if self.named:
            return self.named
        written = next((value for name, value in self.headers if name.lower() == "host"), None)
        if written is not None:
            return written
        return self.host if self.port in (80, 443) else f"{self.host}:{self.port}"

    @property
    def facts(self) -> RequestFacts:
        """What rules may ask about it."""
        path, _, query = self.path.partition("?")
        return RequestFacts(
            self.method, self.scheme, self.authority, path or "/", query, self.headers, self.port
        )


@dataclass(frozen=True, slots=True, repr=False)
class Outgoing:
    """The request as the target gets it; `api_key` is still to be put into `Authorization`.

    A path or a header's value that came from a variable is `Expanded`. `model` is the one that is set in the
    body, if one is.
    """

    method: str
    path: str
    headers: Headers
    body: bytes
    api_key: SecretStr | None
    model: str | None = None

    def shown(self) -> tuple[str, Headers]:
        """Path and headers for people: credentials and what came from variables are redacted.

        A path keeps its end if that tells a chat: views, and whoever sends the flow again, go by it.
        """
        headers = [(n, redact_value(n, v)) for n, v in self.headers]
        if self.api_key:
            headers.append(("Authorization", redact_header("Authorization", "Bearer ")))
        path = redact_query(self.path)
        if isinstance(self.path, Expanded):
            before, question, query = path.partition("?")
            end = CHAT_COMPLETIONS if before.endswith(CHAT_COMPLETIONS) else ""
            path = f"/{REDACTED}{end}{question}{query}"
        return path, tuple(headers)

    def with_header(self, name: str, value: str) -> Self:
        """The same with this header, in place of any of its name."""
        return replace(self, headers=header_operations.overwrite(self.headers, [(name, value)]))

    def for_attempt(self, number: int, timeout_s: float | None) -> Self:
        """The same with what Envoy tells upstreams: which attempt it is, and how long it may take."""
        told = [(ATTEMPT_COUNT, str(number))]
        if timeout_s is not None:
            told.append((EXPECTED_TIMEOUT, str(round(timeout_s * 1000))))
        return replace(self, headers=header_operations.overwrite(self.headers, told))


def is_well_formed(request: OriginalRequest) -> bool:
    """Whether the request can be sent on as it is, without becoming another one on the way.

    HTTP/2 clients can put into paths and values what would end a line of HTTP/1. Nobody has any use for other
    control characters, either; Envoy answers 400 to all of them.
    """
    if not _TOKEN.fullmatch(request.method) or not _PATH.fullmatch(request.path):
        return False
    names, values = zip(*request.headers, strict=True) if request.headers else ((), ())
    if not all(names) or _CONTROL.search("".join(values)):
        return False
    return not names or _TOKEN.fullmatch("".join(names)) is not None


def end_to_end(headers: Iterable[tuple[str, str]]) -> Headers:
    """The headers without those that concern one connection only (RFC 9110, section 7.6.1)."""
    fields = list(headers)
    connection = ",".join(value for name, value in fields if name.lower() == "connection")
    named = {option.strip().lower() for option in connection.split(",")}
    return tuple((n, v) for n, v in fields if n.lower() not in HOP_BY_HOP and n.lower() not in named)
