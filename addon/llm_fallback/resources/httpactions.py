"""What a VirtualService's rule does with a request, apart from where it sends it."""

import base64
import binascii
import builtins
import re
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from llm_fallback.resources.base import (
    Decimal,
    DurationMs,
    Expanded,
    FieldError,
    Integer,
    KeepsExpanded,
    MissingError,
    Model,
    OptionalPort,
    Percent,
    UnsupportedError,
    WholeSecondsMs,
)
from llm_fallback.resources.names import header_name
from llm_fallback.resources.stringmatch import Regex, UriMatch, compile_regex
from llm_fallback.wording import did_you_mean

RETRY_CONDITIONS = frozenset(
    {
        "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx",
        "refused-stream", "retriable-status-codes", "retriable-headers", "envoy-ratelimited",
        "http3-post-connect-failure", "cancelled", "deadline-exceeded", "internal", "resource-exhausted",
        "unavailable",
    }
)  # fmt: skip
"""The words of `retryOn`, those of Envoy's x-envoy-retry-on and x-envoy-retry-grpc-on."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"})
"""Those that Istio knows."""

_STATUSES = frozenset(map(int, HTTPStatus))
_REDIRECT_CODES = frozenset({301, 302, 303, 307, 308})
_ESCAPES = re.compile(r"\\(.?)", re.DOTALL)
_MAX_BODY = 1024 * 1024
_LEAST_SHARE = 0.0001

Status = Annotated[Integer, Field(ge=200, le=600)]  # 600 is Istio's


def _share(value: float) -> float:
    if not 0 <= value <= 100 or 0 < value < _LEAST_SHARE:
        raise ValueError("a percentage is 0, or from 0.0001 to 100")
    return value


class Percentage(Model):
    """A share of the requests."""

    SHORT_FOR = ("value",)

    value: Annotated[Decimal, AfterValidator(_share)] = 0.0


class MirrorPercentage(Model):
    """A share of the requests, however small."""

    SHORT_FOR = ("value",)

    value: Annotated[Decimal, Field(ge=0, le=100)] = 0.0


class DerivePort(StrEnum):
    """Where a redirect's port comes from."""

    FROM_PROTOCOL_DEFAULT = "FROM_PROTOCOL_DEFAULT"
    FROM_REQUEST_PORT = "FROM_REQUEST_PORT"


class HTTPRedirect(Model):
    """An answer that sends the client elsewhere; what is not set stays as it was."""

    uri: str = ""
    authority: str = ""
    port: OptionalPort = None
    derive_port: Annotated[DerivePort, Field(strict=False)] | None = None
    scheme: str = ""
    redirect_code: Annotated[
        Integer, Field(ge=0, le=399, json_schema_extra={"enum": [0, *sorted(_REDIRECT_CODES)]})
    ] = 0  # which is 301

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if self.port is not None and self.derive_port is not None:
            raise FieldError("port and derivePort exclude each other; keep one of them", "derivePort")
        if not (self.uri or self.authority or self.scheme) and self.port is None and self.derive_port is None:
            raise MissingError("needs one of uri, authority, scheme, port and derivePort", "uri")
        if self.scheme not in ("", "http", "https"):
            raise FieldError("not a scheme; write http or https", "scheme")
        return self

    @model_validator(mode="after")
    def _has_a_code(self) -> Self:
        if 0 < self.redirect_code < 300:
            raise FieldError("not a redirect's code; write 301, 302, 303, 307 or 308", "redirectCode")
        if self.redirect_code and self.redirect_code not in _REDIRECT_CODES:
            raise UnsupportedError(
                "no proxy sends this code; write 301, 302, 303, 307 or 308", "redirectCode"
            )
        return self


def _base64(value: str) -> str:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64; write text as string") from None
    return value


class HTTPBody(Model):
    """The body of an answer: text, or base64."""

    SHORT_FOR = ("string",)

    string: Annotated[str, KeepsExpanded] | None = None
    bytes: Annotated[str, AfterValidator(_base64), KeepsExpanded] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.string is not None and self.bytes is not None:
            raise ValueError("has both string and bytes; keep one of them")
        if len(self.content) > _MAX_BODY:
            raise ValueError("a body has at most 1 MiB; shorten it")
        return self

    @property
    def content(self) -> builtins.bytes:
        """The bytes that are sent."""
        return base64.b64decode(self.bytes) if self.bytes is not None else (self.string or "").encode()

    @property
    def is_secret(self) -> bool:
        """Whether it came from a variable."""
        return isinstance(self.string, Expanded) or isinstance(self.bytes, Expanded)


class HTTPDirectResponse(Model):
    """A fixed answer."""

    status: Status
    body: HTTPBody | None = None


class RegexRewrite(Model):
    """What in the path is replaced, and by what; a backslash and a digit stand for a group."""

    match: Regex
    rewrite: Annotated[str, Field(min_length=1), KeepsExpanded]

    @model_validator(mode="after")
    def _refers_to_groups(self) -> Self:
        groups = compile_regex(self.match).groups
        for escaped in _ESCAPES.findall(self.rewrite):
            if not escaped or escaped not in "\\0123456789":
                raise FieldError(
                    r"a backslash stands before the digit of a group; write \\ for a backslash", "rewrite"
                )
            if escaped != "\\" and int(escaped) > groups:
                problem = rf"refers to group \{escaped}, and match has {groups or 'none'}"
                raise FieldError(f"{problem}; put what is meant in parentheses there", "rewrite")
        return self


class HTTPRewrite(Model):
    """A change of path or authority; `uri` replaces what was matched."""

    uri: Annotated[str, KeepsExpanded] = ""
    uri_regex_rewrite: RegexRewrite | None = None
    authority: str = ""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.uri and self.uri_regex_rewrite:
            raise FieldError(
                "uri and uriRegexRewrite exclude each other; keep one of them", "uriRegexRewrite"
            )
        if not (self.uri or self.uri_regex_rewrite or self.authority):
            raise MissingError("needs one of uri, uriRegexRewrite and authority", "uri")
        return self


def _conditions(value: str) -> str:
    for word in value.split(",") if value else ():
        if word in RETRY_CONDITIONS or (word.isdecimal() and word.isascii() and int(word) in _STATUSES):
            continue
        if word.strip() != word:
            raise ValueError("a space is part of a condition; separate conditions by commas only")
        hint = did_you_mean(word, RETRY_CONDITIONS) or "write such as 5xx,reset or codes such as 503"
        raise ValueError(f"has a word that is no condition; {hint}")
    return value


class HTTPRetry(Model):
    """How often a request is tried again, when, and how long a try may take."""

    SHORT_FOR = ("attempts",)

    attempts: Annotated[Integer, Field(ge=0, le=2**31 - 1)] = 0
    per_try_timeout: DurationMs | None = None
    retry_on: Annotated[str, AfterValidator(_conditions)] = ""
    retry_remote_localities: bool | None = None
    retry_ignore_previous_hosts: bool | None = None
    backoff: DurationMs | None = None

    @model_validator(mode="after")
    def _is_on(self) -> Self:
        if self.attempts == 0 and (
            self.per_try_timeout is not None or self.retry_on or self.retry_remote_localities is not None
        ):
            raise FieldError("0 attempts are no retries; write how many, or remove the rest", "attempts")
        return self


class Fault(Model):
    """What goes wrong for a share of the requests; without a percentage, for none."""

    percentage: Percentage | None = None

    @property
    def share(self) -> float:
        """How many of a hundred requests it is for."""
        return 0.0 if self.percentage is None else self.percentage.value


class Delay(Fault):
    """A share of the requests that wait."""

    NOT_SUPPORTED = frozenset({"exponentialDelay"})

    fixed_delay: DurationMs | None = None
    percent: Percent | None = None  # deprecated, and without effect in Istio too


class Abort(Fault):
    """A share of the requests that are answered with an error."""

    NOT_SUPPORTED = frozenset({"grpcStatus", "http2Error"})
    REMOVED = {"percent": "write percentage: {value: ...}"}

    http_status: Status | None = None


class HTTPFaultInjection(Model):
    """Faults on purpose."""

    delay: Delay | None = None
    abort: Abort | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.delay is None and self.abort is None:
            raise MissingError("needs an abort or a delay", "abort")
        return self


class UnmatchedPreflights(StrEnum):
    """What becomes of a preflight request of an origin that is not allowed."""

    UNSPECIFIED = "UNSPECIFIED"  # as FORWARD
    FORWARD = "FORWARD"
    IGNORE = "IGNORE"


def _origin(value: UriMatch) -> UriMatch:
    if not (value.exact or value.prefix or value.regex):
        raise ValueError("an origin needs a text; write exact: https://example.com")
    return value


def _method(value: str) -> str:
    if value not in METHODS:
        raise ValueError("not a method; write one such as GET, in capitals")
    return value


def _cors_header(value: str) -> str:
    return value if value == "*" else header_name(value)


class CorsPolicy(Model):
    """Which origins may read the answers."""

    allow_origins: list[Annotated[UriMatch, AfterValidator(_origin)]] = []
    allow_origin: list[str] = []  # deprecated: exact origins
    allow_methods: list[Annotated[str, AfterValidator(_method)]] = []
    allow_headers: list[Annotated[str, AfterValidator(_cors_header)]] = []
    expose_headers: list[Annotated[str, AfterValidator(_cors_header)]] = []
    max_age: WholeSecondsMs | None = None
    allow_credentials: bool | None = None
    unmatched_preflights: Annotated[UnmatchedPreflights, Field(strict=False)] = (
        UnmatchedPreflights.UNSPECIFIED
    )
