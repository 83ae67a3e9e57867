"""`llm-fallback run`: mitmproxy with the addon, by itself or around a command."""

import argparse
import errno
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

from llm_fallback.cli import frontend
from llm_fallback.cli.ca_bundle import UnreadableError, bundle
from llm_fallback.cli.check import add_files, add_workload
from llm_fallback.cli.child_proxy import ChildProxy, ProxyEndedError, Ready, last_words
from llm_fallback.cli.environment import proxy_url, variables
from llm_fallback.cli.listening import DEFAULT_LISTEN, add_listen
from llm_fallback.cli.relay import Relay, StoppedError
from llm_fallback.cli.summary import summary

_ADMIN_PORT = 9901
_DESCRIPTION = """\
Run mitmproxy with the addon. With a command, run that, with its requests led through a proxy of its own:

  llm-fallback run --web -f mesh/
  llm-fallback run -f mesh/ -- python agent.py

The command gets variables for the proxy and for its authority, which Python, Node, curl, git and others read.
Its input, output, signals and exit status are its own; the proxy ends with it, and one line on standard error
says what came of its requests. https to hosts that the configuration does not name is passed on unread, except with
--web. Exit status: the command's, 128 + n if signal n ended it, 126 or 127 if it cannot be run; 1 if the proxy does
not start, 2 for bad usage."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "run",
        help="run mitmproxy with the addon, or a command behind it",
        usage="llm-fallback run [OPTION ...] [-- COMMAND [ARGUMENT ...]]",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    front_end = parser.add_mutually_exclusive_group()
    for name, where in ((frontend.MITMWEB, "web"), (frontend.MITMPROXY, "console")):
        front_end.add_argument(
            f"--{where}", dest="front_end", action="store_const", const=name, help=f"{name} instead of mitmdump"
        )
    add_files(parser)
    add_workload(parser)
    add_listen(parser, "where the proxy listens (default: 127.0.0.1:8080; a free port for a command)")
    parser.add_argument(
        "--admin", metavar="ADDRESS|off", help=f"where the admin page is (default: 127.0.0.1:{_ADMIN_PORT})"
    )
    parser.add_argument(
        "--set",
        dest="said",
        metavar="OPTION=VALUE",
        default=[],
        action="append",
        help="an option of mitmproxy or of the addon; may be repeated",
    )
    said = parser.add_mutually_exclusive_group()
    said.add_argument("-v", "--verbose", action="store_true", help="the proxy's log on standard error")
    said.add_argument("-q", "--quiet", action="store_true", help="no line about the command's requests")
    parser.add_argument("command", nargs="*", help=argparse.SUPPRESS)
    parser.set_defaults(front_end=frontend.MITMDUMP, run=lambda options: _run(options, parser.error))


def _run(options: argparse.Namespace, refuse: Callable[[str], NoReturn]) -> int:
    if not options.command:
        _exec(options, refuse)
    if options.front_end == frontend.MITMPROXY:
        refuse("--console needs the terminal, and so does the command; --web does not")
    relay = Relay()
    try:
        return _run_command(options, relay, refuse)
    except StoppedError as stopped:
        return 128 + stopped.number
    except (ProxyEndedError, UnreadableError) as error:
        _say(str(error))
        return 1


def _exec(options: argparse.Namespace, refuse: Callable[[str], NoReturn]) -> NoReturn:
    """Become the front end."""
    admin = options.admin or f"127.0.0.1:{_ADMIN_PORT}"
    arguments = frontend.arguments(
        [frontend.ADDON], options.listen or DEFAULT_LISTEN, _options(options, admin, refuse), options.said
    )
    command = [*frontend.program(options.front_end), *arguments]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)  # noqa: S606 - our interpreter


def _run_command(options: argparse.Namespace, relay: Relay, refuse: Callable[[str], NoReturn]) -> int:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llm-fallback-")))
        log = folder / "log"
        out = sys.stderr if options.verbose else stack.enter_context(log.open("wb"))
        proxy = stack.enter_context(ChildProxy(_proxy_command(options, refuse), out))
        try:
            ready = proxy.ready()
        except ProxyEndedError:
            _repeat([] if options.verbose else last_words(log))
            raise
        if ready.page:
            _say(f"mitmweb is at {ready.page}")
        environment = {**os.environ, **_changes(ready, folder)}
        proxy.watch(lambda: _tell_of_end([] if options.verbose else last_words(log)))
        status = _status(relay, options.command, environment)
        if options.verbose or options.quiet:
            return status
        stack.callback(_summarise, log)  # when the proxy has ended, before the folder is gone
        _reorder(stack, proxy)
        return status
