"""The paths of the admin page. It only shows: there is nothing here that changes anything."""

import asyncio
import ipaddress
import json
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import re2
from aiohttp import web

from llm_fallback.admin import clusters
from llm_fallback.config.in_force import Configuration
from llm_fallback.metrics import CONTENT_TYPE, Metrics, prometheus, stats, stats_text
from llm_fallback.resources.stringmatch import compile_regex
from llm_fallback.status import TargetStatus

logger = logging.getLogger("llm-fallback")

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "llm-fallback",
    "X-Content-Type-Options": "nosniff",
}

_NOT_FROM = web.AppKey[Collection[int]]("not_from")

type _Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
type _Page = Callable[["Shown", Mapping[str, str]], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class Shown:
    """What there is to show; `status` says how the targets are now.

    `not_from` are ports of this machine from which nobody may look.
    """

    metrics: Metrics
    status: Callable[[], Iterable[TargetStatus]]
    configuration: Callable[[], Configuration]
    not_from: Collection[int] = ()


def application(shown: Shown) -> web.Application:
    """The application with all pages, for clients that address this machine as such."""
    made = web.Application(middlewares=[_guard])
    made[_NOT_FROM] = shown.not_from
    made.on_response_prepare.append(_add_headers)
    for path, (page, _) in _PAGES.items():
        made.router.add_get(path, _handler(page, shown))  # HEAD as well
    return made


def _handler(page: _Page, shown: Shown) -> _Handler:
    async def handle(request: web.Request) -> web.Response:
        return await page(shown, request.query)

    return handle


@web.middleware
async def _guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Refuse who comes from elsewhere after all, and turn what goes wrong into an answer.

    That is web pages whose name has been made to lead here, and clients of the proxy, which may be anybody.
    """
    if _port_of(request) in request.app[_NOT_FROM]:
        return _text("the admin page is not shown through the proxy\n", status=403)
    if not _is_loopback(request.headers.getall("Host", [])):
        return _text("the Host header has to name this machine: localhost, 127.0.0.1 or [::1]\n", status=403)
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return _text(f"no such path. There are:\n{_list()}", status=404)
    except web.HTTPException:
        raise
    except Exception as error:  # noqa: BLE001 - it is said here, and never reaches the proxy
        logger.error("the admin page %s failed: %s", request.path, type(error).__name__)  # noqa: TRY400
        return _text("llm-fallback failed to make this page; its log says why\n", status=500)


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


def _port_of(request: web.Request) -> int | None:
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return peer[1] if peer else None


def _is_loopback(hosts: list[str]) -> bool:
    """Whether exactly one host is named, and it is this machine."""
    if len(hosts) != 1:
        return False
    try:
        name = urlsplit(f"//{hosts[0]}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


async def _ready(_: Shown, __: Mapping[str, str]) -> web.Response:
    return _text("LIVE\n")


async def _prometheus(shown: Shown, _: Mapping[str, str]) -> web.Response:
    found = list(stats(shown.metrics, shown.status()))
    body = await asyncio.to_thread(prometheus, found)  # many hosts take some time, which is the proxy's
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})


async def _stats(shown: Shown, query: Mapping[str, str]) -> web.Response:
    form = query.get("format", "text")
    if form == "prometheus":
        return await _prometheus(shown, query)
    if form != "text":
        return _text("format: there are text and prometheus\n", status=400)
    try:
        matches = compile_regex(query.get("filter", "")).search
    except re2.error:
        return _text("filter: not a regex in RE2's syntax\n", status=400)
    found = stats(shown.metrics, shown.status())
    return _text(stats_text(found, matches=matches, used_only="usedonly" in query))


async def _clusters(shown: Shown, query: Mapping[str, str]) -> web.Response:
    if query.get("format") == "json":
        found = clusters.as_json(shown.metrics, shown.status())
        return web.Response(text=json.dumps(found, indent=1), content_type="application/json")
    return _text(clusters.as_text(shown.metrics, shown.status()))


async def _configuration(shown: Shown, _: Mapping[str, str]) -> web.Response:
    known = shown.configuration()
    found = {
        "sources": [str(path) for path in known.sources.paths],
        "workload": None if known.sources.workload is None else dict(known.sources.workload),
        "loaded_at": known.loaded_at,
        "is_current": known.is_current,
        "findings": [{"severity": str(finding.severity), "text": str(finding)} for finding in known.findings],
    }
    return web.Response(text=json.dumps(found, indent=1), content_type="application/json")


async def _home(_: Shown, __: Mapping[str, str]) -> web.Response:
    return _text(_list())


def _text(text: str, *, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/plain", charset="utf-8")


def _list() -> str:
    return "".join(f"  {path}: {about}\n" for path, (_, about) in _PAGES.items())


_PAGES: Mapping[str, tuple[_Page, str]] = {
    "/": (_home, "this list"),
    "/clusters": (_clusters, "targets and their endpoints; ?format=json"),
    "/configuration": (_configuration, "what was read and when, and what was wrong with the last edit; JSON"),
    "/ready": (_ready, "LIVE while the proxy runs"),
    "/stats": (_stats, "metrics by Envoy's names; ?filter=REGEX, ?usedonly, ?format=prometheus"),
    "/stats/prometheus": (_prometheus, "metrics for Prometheus"),
}
"""All of them; what changes something would have to prove where it comes from, and none does."""
