"""`llm-fallback status`: how a running proxy is."""

import argparse
import json
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
from typing import Any

from llm_fallback.cli.admin_api import ApiError, add_admin, ask, the_proxy
from llm_fallback.overview import as_text, duration
from llm_fallback.runtime import Runtime
from llm_fallback.wording import printable

_DESCRIPTION = """\
Show the targets and endpoints of a running proxy: who is in rotation, who is not and for how long, what has
been pinned and injected, and the latest fallbacks.

The proxy is found by itself if it has an admin page (llm-fallback run gives it one, and so does
mitmproxy's --set llm_admin=127.0.0.1:9901).
Exit status: 0 if it answers, 1 if not, 2 for bad usage."""

_EVERY_S = 1.0
_CLEAR = "\x1b[H\x1b[2J"


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "status",
        help="show who is in rotation at a running proxy",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--watch", action="store_true", help="show it again each second, until Ctrl-C")
    parser.add_argument(
        "-o",
        dest="output",
        choices=("text", "json"),
        default="text",
        help="default: text; json is the state as the admin API tells it, with --watch one line each",
    )
    add_admin(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        proxy = the_proxy(options.admin)
        while True:
            _show(ask(proxy, "/api/state"), proxy, options)
            if not options.watch:
                return 0
            time.sleep(_EVERY_S)
    except ApiError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _show(state: Mapping[str, Any], proxy: Runtime, options: argparse.Namespace) -> None:
    if options.output == "json":
        text = json.dumps(state, indent=None if options.watch else 2)
    else:
        is_terminal = sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if is_terminal else None
        colours = is_terminal and not os.environ.get("NO_COLOR")
        heading = "\n".join(_heading(state, proxy, width))
        text = f"{heading}\n\n{as_text(state, colours=colours, width=width)}"
        if options.watch:
            text = f"{_CLEAR}{text}" if is_terminal else f"{text}\n"
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stdout.flush()


def _heading(state: Mapping[str, Any], proxy: Runtime, width: int | None) -> Iterator[str]:
    up = duration(max(0.0, state.get("now", 0.0) - state.get("started_at", 0.0)))
    yield from _wrapped(f"{', '.join(proxy.proxy) or 'a proxy'}, up {up}, http://{proxy.admin}", width)
    configuration = state.get("configuration", {})
    if configuration.get("is_current", True):
        return
    findings = configuration.get("findings", ())
    error = next((each["text"] for each in findings if each["severity"] == "error"), None)
    said = "the last edit of its configuration has errors and is not in force"
    yield from _wrapped(f"{said}: {error}" if error else said, width)


def _wrapped(text: str, width: int | None) -> list[str]:
    """The whole text, in lines."""
    shown = printable(" ".join(text.split()))
    return textwrap.wrap(shown, width, subsequent_indent="  ", break_on_hyphens=False) if width else [shown]
