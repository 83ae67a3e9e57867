"""What the admin page shows: the paths that only read."""

import asyncio

import re2
from aiohttp import web

from llm_fallback.admin import clusters, state
from llm_fallback.admin.config_dump import config_dump
from llm_fallback.admin.guard import as_json, text
from llm_fallback.admin.shown import Shown
from llm_fallback.metrics import CONTENT_TYPE, prometheus, stats, stats_text
from llm_fallback.resources.stringmatch import compile_regex


async def ready(_: Shown, __: web.Request) -> web.Response:
    """That the proxy runs."""
    return text("LIVE\n")


async def all_stats(shown: Shown, request: web.Request) -> web.Response:
    """Metrics by Envoy's names."""
    form = request.query.get("format", "text")
    if form == "prometheus":
        return await for_prometheus(shown, request)
    if form != "text":
        return text("format: there are text and prometheus\n", status=400)
    try:
        matches = compile_regex(request.query.get("filter", "")).search
    except re2.error:
        return text("filter: not a regex in RE2's syntax\n", status=400)
    found = stats(shown.metrics, shown.status(), shown.configuration())
    return text(stats_text(found, matches=matches, used_only="usedonly" in request.query))


async def for_prometheus(shown: Shown, _: web.Request) -> web.Response:
    """Metrics for Prometheus."""
    found = list(stats(shown.metrics, shown.status(), shown.configuration()))
    body = await asyncio.to_thread(prometheus, found)  # many hosts take some time, which is the proxy's
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})


async def all_clusters(shown: Shown, request: web.Request) -> web.Response:
    """Targets and their endpoints."""
    if request.query.get("format") == "json":
        return as_json(clusters.as_json(shown.metrics, shown.status()), indent=1)
    return text(clusters.as_text(shown.metrics, shown.status()))


async def configuration(shown: Shown, _: web.Request) -> web.Response:
    """What was read, and what was wrong with it."""
    return as_json(state.configuration(shown.configuration()), indent=1)


async def compiled(shown: Shown, _: web.Request) -> web.Response:
    """What became of it."""
    return as_json(config_dump(shown.configuration(), shown.snapshot()), indent=1)


async def whole_state(shown: Shown, _: web.Request) -> web.Response:
    """How everything is, and was lately."""
    return as_json(state.state(shown) | state.past(shown.history))


async def server_info(shown: Shown, _: web.Request) -> web.Response:
    """Envoy's `ServerInfo`, as far as there is such a thing here."""
    up = max(0.0, shown.wall_clock() - shown.started_at)
    return as_json(
        {"version": shown.version, "state": "LIVE", "uptime_current_epoch": f"{up:.0f}s"}, indent=1
    )
