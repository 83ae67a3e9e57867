"""Asking a running proxy: its admin API, directly, whatever proxy the environment names."""

import argparse
import json
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from llm_fallback.runtime import NoRuntimeError, Runtime, find

_TIMEOUT_S = 10.0
_ACTION_TIMEOUT_S = 60.0  # a reload is waited for, and a big configuration takes a while
_DIRECTLY = build_opener(ProxyHandler({}))


class ApiError(Exception):
    """What is wrong, in one sentence."""


def add_admin(parser: argparse.ArgumentParser) -> None:
    """Add the option that says which proxy is meant."""
    parser.add_argument(
        "--admin",
        metavar="ADDRESS",
        help="the admin page of the proxy that is meant, such as 127.0.0.1:9901; needed only if several run",
    )


def the_proxy(admin: str | None) -> Runtime:
    """The proxy that is meant; raises ApiError."""
    try:
        return find(admin)
    except NoRuntimeError as error:
        raise ApiError(str(error)) from None


def ask(proxy: Runtime, path: str, action: Mapping[str, Any] | None = None) -> Any:
    """The JSON that a path of the API answers, or that an action does; raises ApiError."""
    request = Request(f"{proxy.url}{path}")  # noqa: S310 - always http, to this machine
    timeout_s = _TIMEOUT_S if action is None else _ACTION_TIMEOUT_S
    if action is not None:
        request.data = json.dumps(action).encode()
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", f"Bearer {proxy.token}")
    try:
        with _DIRECTLY.open(request, timeout=timeout_s) as answer:
            return json.load(answer)
    except HTTPError as error:
        raise ApiError(_said(error) or f"the proxy at {proxy.admin} answers {error.code} to {path}") from None
    except (OSError, HTTPException):
        raise ApiError(f"the proxy at {proxy.admin} does not answer") from None
    except ValueError:
        raise ApiError(f"what the proxy at {proxy.admin} answers to {path} is not JSON") from None


def _said(error: HTTPError) -> str | None:
    """The sentence in the answer, if there is one."""
    try:
        said = json.load(error).get("error")
    except (AttributeError, OSError, ValueError, HTTPException):
        return None
    return said if isinstance(said, str) else None
