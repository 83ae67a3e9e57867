"""The admin page's paths, and who serves them."""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from llm_fallback.admin import actions, log_levels, pages
from llm_fallback.admin.assets import INDEX, Asset, prefers_html, read_assets
from llm_fallback.admin.guard import NOT_FROM, Handler, add_headers, guard, text
from llm_fallback.admin.shown import Shown
from llm_fallback.admin.stream import EventStream

type _Page = Callable[[Shown, web.Request], Awaitable[web.StreamResponse]]

_PAGES: Mapping[str, tuple[_Page, str]] = {
    "/clusters": (pages.all_clusters, "targets and their endpoints; ?format=json"),
    "/config_dump": (pages.compiled, "the rules and targets in force, without their keys; JSON"),
    "/configuration": (pages.configuration, "what was read and when, and what was wrong with it; JSON"),
    "/logging": (log_levels.levels, "how much is logged; POST ?level=debug changes it"),
    "/ready": (pages.ready, "LIVE while the proxy runs"),
    "/server_info": (pages.server_info, "version and time since the start; JSON"),
    "/stats": (pages.all_stats, "metrics by Envoy's names; ?filter=REGEX, ?usedonly, ?format=prometheus"),
    "/stats/prometheus": (pages.for_prometheus, "metrics for Prometheus"),
    "/api/state": (pages.whole_state, "all of it as the web page shows it; JSON"),
}
_OTHERS = {
    "/": "the web page, for a browser; this list, for others",
    "/help": "this list",
    "/api/events": "what happens, as it happens; server-sent events",
    "/api/actions/NAME": "POST: eject, return, pin, fault, clear, reload",
}


def application(shown: Shown) -> web.Application:
    """The application with all paths, for clients that address this machine as such."""
    made = web.Application(middlewares=[guard, _not_found], client_max_size=actions.MAX_BODY_BYTES)
    made[NOT_FROM] = shown.not_from
    made.on_response_prepare.append(add_headers)
    router = made.router
    for path, (page, _) in _PAGES.items():
        router.add_get(path, _with(shown, page))  # HEAD as well
    stream = EventStream(shown)
    made.on_shutdown.append(stream.close)
    router.add_get("/api/events", stream.serve, allow_head=False)
    router.add_post("/api/actions/{name}", _with(shown, actions.act))
    router.add_post("/logging", _with(shown, log_levels.set_level))
    router.add_get("/help", _help)
    assets = read_assets()
    router.add_get("/", _home(assets.get(INDEX)))
    for name, asset in assets.items():
        router.add_get(f"/{name}", _file(asset))
    return made


def _with(shown: Shown, page: _Page) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await page(shown, request)

    return handle


def _file(asset: Asset) -> Handler:
    async def handle(_: web.Request) -> web.Response:
        return asset.response()

    return handle


def _home(index: Asset | None) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        is_wanted = prefers_html(request.headers.get("Accept", ""))
        response = index.response() if index and is_wanted else text(_list())
        response.headers["Vary"] = "Accept"
        return response

    return handle


@web.middleware
async def _not_found(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return text(f"no such path. There are:\n{_list()}", status=404)


async def _help(_: web.Request) -> web.Response:
    return text(_list())


def _list() -> str:
    about = {**{path: text for path, (_, text) in _PAGES.items()}, **_OTHERS}
    return "".join(f"  {path}: {about[path]}\n" for path in sorted(about))
