"""`POST /api/actions/NAME`: what a person wants done, checked and handed on."""

import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from llm_fallback.admin.guard import NO_PROOF, as_json, may_change
from llm_fallback.admin.shown import Actions, Shown

MAX_BODY_BYTES = 1024 * 1024
"""A fault may bring a whole answer."""


class _BadRequestError(ValueError):
    """A body that is none, in a sentence."""


@dataclass(frozen=True, slots=True)
class _Action:
    """How it is done, the fields that it needs, and those that may be left out."""

    do: Callable[[Actions, Mapping[str, Any]], str | Awaitable[str]]
    needs: Mapping[str, str] = field(default_factory=dict)
    takes: Mapping[str, str] = field(default_factory=dict)


_TEXT, _SECONDS, _OBJECT = "a text", "a number of seconds", "an object"

_ACTIONS: Mapping[str, _Action] = {
    "eject": _Action(
        lambda to, given: to.eject(given["place"], given.get("for_s")), {"place": _TEXT}, {"for_s": _SECONDS}
    ),
    "return": _Action(lambda to, given: to.put_back(given["place"]), {"place": _TEXT}),
    "pin": _Action(
        lambda to, given: to.pin(given["host"], given["target"]), {"host": _TEXT, "target": _TEXT}
    ),
    "fault": _Action(
        lambda to, given: to.fault(given["place"], given["fault"]), {"place": _TEXT, "fault": _OBJECT}
    ),
    "clear": _Action(lambda to, given: to.clear(given["what"]), {"what": _TEXT}),
    "reload": _Action(lambda to, _: to.reload()),
}


async def act(shown: Shown, request: web.Request) -> web.Response:
    """Do it, and answer with a sentence: what was done, or what is wrong."""
    if not may_change(request, shown.token):
        return as_json({"error": NO_PROOF}, status=403)
    name = request.match_info["name"]
    action = _ACTIONS.get(name)
    if action is None or shown.actions is None:
        there = ", ".join(_ACTIONS) if shown.actions else "none"
        return as_json({"error": f"no such action; there are {there}"}, status=404)
    try:
        given = _fields(await request.read(), action)
        done = action.do(shown.actions, given)
        return as_json({"message": done if isinstance(done, str) else await done})
    except web.HTTPRequestEntityTooLarge:
        return as_json({"error": f"the body is larger than {MAX_BODY_BYTES} bytes"}, status=413)
    except ValueError as error:
        return as_json({"error": str(error)}, status=400)


def _fields(body: bytes, action: _Action) -> dict[str, Any]:
    """The fields of a body. Raises _BadRequestError for what the action does not take, or takes otherwise."""
    given = _object(body)
    wanted = {**action.needs, **action.takes}
    if unknown := [name for name in given if name not in wanted]:
        takes = f"takes {', '.join(wanted)}" if wanted else "takes none"
        raise _BadRequestError(f"{unknown[0]!r} is no field of this action, which {takes}")
    for name in action.needs:
        if given.get(name) is None:
            raise _BadRequestError(f"{name} is missing")
    for name, value in given.items():
        if value is not None and not _is(wanted[name], value):
            raise _BadRequestError(f"{name} has to be {wanted[name]}")
    return given


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise _BadRequestError("the body is not JSON") from None
    if not isinstance(given, dict):
        raise _BadRequestError("the body has to be a JSON object")
    return given


def _is(kind: str, value: object) -> bool:
    if kind == _TEXT:
        return isinstance(value, str)
    if kind == _OBJECT:
        return isinstance(value, dict)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max  # JSON knows NaN, infinity, and whole numbers without an end
