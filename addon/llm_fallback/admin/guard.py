"""Who may look, and who may change something: web pages of others and clients of the proxy may not."""

import ipaddress
import json
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from aiohttp import web

logger = logging.getLogger("llm-fallback")

NOT_FROM = web.AppKey[Collection[int]]("not_from")
"""Ports of this machine from which nobody may look."""

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

NO_PROOF = (
    "not allowed: this needs Content-Type: application/json, and either the proxy's token "
    "(Authorization: Bearer TOKEN) or to come from the admin page itself"
)

_HOST = re.compile(
    r"(?:(?P<name>localhost)|\[(?P<v6>[0-9a-f.]*:[0-9a-f:.]*)\]|(?P<v4>[0-9.]+))(?::[0-9]{1,5})?",
    re.IGNORECASE,
)
"""A name or address and a port, and not all that may stand in a URL in their place."""

_POLICY = "Content-Security-Policy"
_HEADERS = {
    "Cache-Control": "no-store",
    _POLICY: "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "llm-fallback",
    "X-Content-Type-Options": "nosniff",
}


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse who comes from elsewhere after all, and turn what goes wrong into an answer.

    That is web pages whose name has been made to lead here, and clients of the proxy, which may be anybody.
    """
    if _port_of(request) in request.app[NOT_FROM]:
        return text("the admin page is not shown through the proxy\n", status=403)
    if not _is_loopback(request.headers.getall("Host", [])):
        return text("the Host header has to name this machine: localhost, 127.0.0.1 or [::1]\n", status=403)
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except Exception as error:  # noqa: BLE001 - it is said here, and never reaches the proxy
        logger.error("the admin page %s failed: %s", request.path, type(error).__name__)  # noqa: TRY400
        return text("llm-fallback failed to make this page; its log says why\n", status=500)


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """What keeps browsers from guessing, keeping and framing an answer."""
    response.headers.update({**_HEADERS, **_own_policy(response)})


def _own_policy(response: web.StreamResponse) -> dict[str, str]:
    """That of the web page, which has to run its files."""
    own = response.headers.get(_POLICY)
    return {} if own is None else {_POLICY: own}


def may_change(request: web.Request, token: str) -> bool:
    """Whether a request proves that no foreign web page has made it.

    Such a page knows no token, cannot say of itself that it is of the same origin, and cannot even send JSON
    without asking first, which is not answered. Other ports of this machine are other origins.
    """
    if request.content_type != "application/json":
        return False
    return _has_token(request, token) or _is_same_origin(request)


def is_foreign(request: web.Request) -> bool:
    """Whether a browser says that a page of another origin asks."""
    return request.headers.get("Sec-Fetch-Site", "none") in ("cross-site", "same-site")


def text(content: str, *, status: int = 200) -> web.Response:
    """An answer for people."""
    return web.Response(text=content, status=status, content_type="text/plain", charset="utf-8")


def as_json(data: Any, *, status: int = 200, indent: int | None = None) -> web.Response:
    """An answer for programs."""
    content = json.dumps(data, indent=indent, allow_nan=False)
    return web.Response(text=content, status=status, content_type="application/json")


def _has_token(request: web.Request, token: str) -> bool:
    given = request.headers.getall("Authorization", [])
    if not token or len(given) != 1:
        return False
    scheme, _, value = given[0].partition(" ")
    is_right = secrets.compare_digest(value.strip().encode("utf-8", "surrogateescape"), token.encode())
    return scheme.lower() == "bearer" and is_right


def _is_same_origin(request: web.Request) -> bool:
    said = [request.headers.getall(name, []) for name in ("Sec-Fetch-Site", "Origin", "Host")]
    if any(len(values) != 1 for values in said):
        return False
    [[site], [origin], [host]] = said
    return site == "same-origin" and origin.lower() == f"http://{host.lower()}"


def _port_of(request: web.Request) -> int | None:
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return peer[1] if peer else None


def _is_loopback(hosts: list[str]) -> bool:
    """Whether exactly one host is named, and it is this machine."""
    named = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if named is None:
        return False
    try:
        return bool(named["name"]) or ipaddress.ip_address(named["v6"] or named["v4"]).is_loopback
    except ValueError:
        return False
