"""`/logging`, as Envoy has it: how much is logged, and changing that while the proxy runs."""

import logging
from collections.abc import Mapping

from aiohttp import web

from llm_fallback.admin.guard import NO_PROOF, may_change, text
from llm_fallback.admin.shown import Shown

LOGGER = "llm-fallback"
"""The only one: what others log could hold keys."""

_LEVELS: Mapping[str, int] = {
    "trace": 5,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "off": logging.CRITICAL + 10,
}
"""Envoy's."""


async def levels(_: Shown, __: web.Request) -> web.Response:
    """The logger and its level."""
    return text(_told())


async def set_level(shown: Shown, request: web.Request) -> web.Response:
    """Change it: `?level=debug`, or `?llm-fallback=debug`."""
    if not may_change(request, shown.token):
        return text(f"{NO_PROOF}\n", status=403)
    for name, value in request.query.items():
        if name not in ("level", LOGGER):
            return text(f"no such logger; there is {LOGGER}\n", status=400)
        if value not in _LEVELS:
            return text(f"no such level; there are {', '.join(_LEVELS)}\n", status=400)
        logging.getLogger(LOGGER).setLevel(_LEVELS[value])
    return text(_told())


def _told() -> str:
    level = logging.getLogger(LOGGER).getEffectiveLevel()
    name = next((name for name, value in _LEVELS.items() if level <= value), "off")
    return f"active loggers:\n  {LOGGER}: {name}\n"
