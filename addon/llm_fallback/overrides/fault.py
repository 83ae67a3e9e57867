"""A fault as data: what a provider is made to do, or has done and can be made to do again. Pure."""

import base64
import binascii
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from llm_fallback.headers import Headers
from llm_fallback.overrides.errors import BadActionError, near
from llm_fallback.redaction import is_credential
from llm_fallback.wording import some_of

_NOT_REPLAYED = frozenset(
    {
        *("connection", "date", "keep-alive", "server", "transfer-encoding"),
        "x-envoy-upstream-service-time",
    }
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Bytes that are no UTF-8 are U+DC80 to U+DCFF; other halves of surrogate pairs stand for nothing.
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udc7f\udd00-\udfff]*")
_MAX_COUNT = 10**9
WITHOUT_BODY = frozenset({204, 205, 304})
"""Statuses of answers that are all head."""


class FaultKind(StrEnum):
    """What a provider is made to do."""

    STATUS = "status"
    DELAY = "delay"
    RESET = "reset"
    HANG = "hang"
    CONNECT_FAILURE = "connect-failure"
    CUT = "cut"


_MEMBERS: Mapping[str, frozenset[FaultKind]] = {
    "kind": frozenset(FaultKind),
    "status": frozenset({FaultKind.STATUS, FaultKind.CUT}),
    "headers": frozenset({FaultKind.STATUS, FaultKind.CUT}),
    "body": frozenset({FaultKind.STATUS, FaultKind.CUT}),
    "body_base64": frozenset({FaultKind.STATUS, FaultKind.CUT}),
    "delay_s": frozenset(FaultKind) - {FaultKind.HANG},
    "percentage": frozenset(FaultKind),
    "count": frozenset(FaultKind),
}
"""The members of the data, and which kinds each is for."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What an attempt meets: `delay_s` comes before all else, `percentage` of the attempts are struck.

    A `body` of None is one that fits the request. A `count` of None is no limit.
    """

    kind: FaultKind
    status: int = 200
    headers: Headers = ()
    body: bytes | None = None
    delay_s: float = 0.0
    percentage: float = 100.0
    count: int | None = None

    def __str__(self) -> str:
        match self.kind:
            case FaultKind.STATUS:
                return f"status {self.status}" + self._after()
            case FaultKind.DELAY:
                return f"delay {self.delay_s:g} s"
            case _:
                return self.kind + self._after()

    @property
    def mark(self) -> str:
        """What is said of an attempt that it strikes, after what came of it."""
        return f" (injected {self})" if self.kind is FaultKind.DELAY else " (injected)"

    def _after(self) -> str:
        return f" after {self.delay_s:g} s" if self.delay_s else ""

    def as_data(self) -> dict[str, Any]:
        """Plain data of which `fault_of` makes the same fault, without what a secret may be in."""
        data: dict[str, Any] = {"kind": str(self.kind)}
        if self.kind in _MEMBERS["status"]:
            data["status"] = self.status
        if headers := replayed(self.headers):
            data["headers"] = headers
        if self.body is not None:
            data |= _body_data(self.body)
        if self.delay_s:
            data["delay_s"] = round(self.delay_s, 3)
        if self.percentage < 100:
            data["percentage"] = self.percentage
        if self.count is not None:
            data["count"] = self.count
        return data


def replayed(headers: Headers) -> dict[str, str]:
    """The headers of an answer that can be given again: none with a credential, none of its connection."""
    found: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        if key not in _NOT_REPLAYED and not is_credential(key):
            found[key] = f"{found[key]}, {value}" if key in found else value
    return found


def fault_of(data: object) -> Fault:
    """The fault that is described, as `Fault.as_data` does; raises BadActionError."""
    if not isinstance(data, Mapping):
        raise BadActionError('a fault is an object, such as {"kind": "status", "status": 503}')
    kind = kind_of(data.get("kind"))
    for member in data:
        if member not in _MEMBERS:
            hint = near(str(member), _MEMBERS)
            raise BadActionError(f"fault: no member {member!r}{hint}; there are {some_of(_MEMBERS)}")
        if kind not in _MEMBERS[member] and data[member] is not None:
            raise BadActionError(f"fault: {kind} takes no {member}")
    count = data.get("count")
    if count is not None and (
        not isinstance(count, int) or isinstance(count, bool) or not 0 < count <= _MAX_COUNT
    ):
        raise BadActionError(f"fault: count: write a whole number from 1 to {_MAX_COUNT}, or leave it out")
    percentage = _number(data, "percentage", 100.0)
    if not 0 < percentage <= 100:
        raise BadActionError("fault: percentage: write a number above 0 and up to 100")
    delay_s = _number(data, "delay_s", 0.0)
    if delay_s < 0 or (kind is FaultKind.DELAY and not delay_s):
        raise BadActionError("fault: delay_s: write a number of seconds above 0")
    return Fault(
        kind, _status(data, kind), _headers(data.get("headers")), _body(data), delay_s, percentage, count
    )


def kind_of(written: object) -> FaultKind:
    """The kind with this name; raises BadActionError."""
    try:
        return FaultKind(str(written))
    except ValueError:
        hint = near(str(written), FaultKind) if written else ""
        raise BadActionError(
            f"fault: no kind {written or 'given'}{hint}; there are {some_of(FaultKind)}"
        ) from None


def _status(data: Mapping[Any, Any], kind: FaultKind) -> int:
    status = data.get("status")
    if status is None and kind is not FaultKind.STATUS:
        return 200
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        raise BadActionError("fault: status: write a number from 200 to 599")
    if kind is FaultKind.CUT and status in WITHOUT_BODY:
        raise BadActionError(f"fault: status: an answer with {status} has no body that could be cut")
    return status


def _number(data: Mapping[Any, Any], member: str, default: float) -> float:
    value = data.get(member)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise BadActionError(f"fault: {member}: write a number")
    return float(value)


def _headers(written: object) -> Headers:
    if written is None:
        return ()
    if not isinstance(written, Mapping) or not all(isinstance(each, str) for each in written.values()):
        raise BadActionError('fault: headers: write an object of texts, such as {"retry-after": "20"}')
    headers = tuple((str(name), value) for name, value in written.items())
    if not all(_NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in headers):
        raise BadActionError("fault: headers: there is a name or a value that HTTP cannot carry")
    return headers


def _body(data: Mapping[Any, Any]) -> bytes | None:
    text, encoded = data.get("body"), data.get("body_base64")
    if text is not None and encoded is not None:
        raise BadActionError("fault: write body or body_base64, not both")
    if text is not None:
        if not isinstance(text, str):
            raise BadActionError("fault: body: write a text")
        return text.encode("utf-8", "surrogatepass")
    if encoded is None:
        return None
    try:
        return base64.b64decode(encoded, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise BadActionError("fault: body_base64: that is no Base64") from None


def _body_data(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode()}
