"""`llm-fallback run`: mitmproxy with the addon, by itself or around a command."""

import argparse
import errno
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from llm_fallback.addresses import with_port
from llm_fallback.cli import frontend
from llm_fallback.cli.ca_bundle import UnreadableError, bundle
from llm_fallback.cli.check import add_workload
from llm_fallback.cli.child_proxy import ChildProxy, ProxyEndedError, last_words
from llm_fallback.cli.environment import proxy_url, variables
from llm_fallback.cli.listening import DEFAULT_LISTEN, add_listen, is_loopback, is_taken
from llm_fallback.cli.relay import Relay, StoppedError
from llm_fallback.cli.summary import summary

_ADMIN_PORT = 9901
_SAY_WHERE = frozenset({"listen_host", "listen_port", "mode", "server"})
_DESCRIPTION = """\
Run mitmproxy with the addon. With a command, run that, with its requests led through a proxy of its own:

  llm-fallback run --web -f mesh/
  llm-fallback run -f mesh/ -- python agent.py

The command gets variables for the proxy and for its authority, which Python, Node, curl, git and others read.
Its input, output, signals and exit status are its own; the proxy ends with it, and one line on standard error
says what came of its requests. Without --web, https to hosts that the configuration does not name is passed
on unread. Exit status: the command's, 128 + n if signal n ended it, 126 or 127 if it cannot be run; 1 if the
proxy does not start, 2 for bad usage."""


class _TakenError(Exception):
    """Somebody else listens where the proxy is to listen, in a sentence."""


class _NotRunError(Exception):
    """The command cannot be run, in a sentence; `status` is what a shell makes of that."""

    def __init__(self, command: str, error: OSError) -> None:
        super().__init__(f"{command} cannot be run ({error.strerror})")
        self.status = 127 if error.errno == errno.ENOENT else 126


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
            f"--{where}",
            dest="front_end",
            action="store_const",
            const=name,
            help=f"{name} instead of mitmdump",
        )
    parser.add_argument(
        "-f",
        dest="files",
        metavar="PATH",
        nargs="+",
        action="extend",
        default=[],
        help="files or folders of YAML or JSON, not their sub-folders (default: config)",
    )
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
    if options.command and options.front_end == frontend.MITMPROXY:
        refuse("--console needs the terminal, and so does the command; --web does not")
    try:
        if not options.command:
            _exec(options, refuse)
        return _run_command(options, Relay(), refuse)
    except StoppedError as stopped:
        return 128 + stopped.number
    except _NotRunError as error:
        _say(str(error))
        return error.status
    except (ProxyEndedError, UnreadableError, _TakenError) as error:
        _say(str(error))
        return 1


def _exec(options: argparse.Namespace, refuse: Callable[[str], NoReturn]) -> NoReturn:
    """Become the front end."""
    settings = _settings(options, options.admin or f"127.0.0.1:{_ADMIN_PORT}", refuse)
    listen = options.listen or DEFAULT_LISTEN
    _look_at(listen, options.said)
    arguments = frontend.arguments([frontend.ADDON], listen, settings, options.said)
    command = [*frontend.program(options.front_end), *arguments]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, frontend.environment(options.said))  # noqa: S606 - our interpreter


def _run_command(options: argparse.Namespace, relay: Relay, refuse: Callable[[str], NoReturn]) -> int:
    arguments = _arguments_of_child(options, refuse)
    with tempfile.TemporaryDirectory(prefix="llm-fallback-") as folder:
        log = Path(folder, "log")
        with log.open("wb") as file:
            out = sys.stderr if options.verbose else file
            command = [*frontend.program(options.front_end), *arguments]
            with ChildProxy(command, frontend.environment(options.said), out) as proxy:
                status = _run_behind(proxy, options.command, relay, Path(folder))
        if not options.verbose and not options.quiet:
            with log.open(encoding="utf-8", errors="replace") as lines:
                _say(summary((line.rstrip("\n") for line in lines), options.command[0]))
    return status


def _arguments_of_child(options: argparse.Namespace, refuse: Callable[[str], NoReturn]) -> list[str]:
    settings = _settings(options, options.admin or _free_admin_address(), refuse)
    if options.front_end == frontend.MITMDUMP and not options.verbose:
        # What is left in the log: a line for each managed request, ejections, and what goes wrong.
        settings |= {"dumper_filter": "!~all", "termlog_verbosity": "warn"}
    listen = options.listen or ("127.0.0.1", 0)
    _look_at(listen, options.said)
    return frontend.arguments([frontend.ADDON, frontend.COMPANION], listen, settings, options.said)


def _look_at(listen: tuple[str, int], said: Sequence[str]) -> None:
    """Say what is wrong with where the proxy is to listen. Raises _TakenError."""
    if _SAY_WHERE & {option.partition("=")[0] for option in said}:
        return  # it listens elsewhere
    host, port = listen
    if port and is_taken(host, port):
        raise _TakenError(f"{with_port(host, port)} is taken; use --listen {with_port(host, 0)[:-1]}PORT")
    if not is_loopback(host):
        where = with_port(host, port) if port else host
        _say(
            f"warning: whoever reaches {where} spends the keys of the configuration; --listen 127.0.0.1:PORT"
        )


def _settings(options: argparse.Namespace, admin: str, refuse: Callable[[str], NoReturn]) -> dict[str, str]:
    """The addon's options."""
    settings = {"llm_admin": "" if admin == "off" else admin}
    if unfit := next((file for file in options.files if file == "-" or "," in file), None):
        refuse(f"-f: {unfit} cannot be read again when it changes; write files or folders, without a comma")
    if options.files:
        settings["llm_config"] = ",".join(options.files)
    if options.workload is not None:
        settings["llm_workload"] = ",".join(f"{name}={value}" for name, value in options.workload.items())
    return settings


def _free_admin_address() -> str:
    """The usual address, or any while somebody else is there: commands may run side by side."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", _ADMIN_PORT))
        except OSError:
            return "127.0.0.1:0"
    return f"127.0.0.1:{_ADMIN_PORT}"


def _run_behind(proxy: ChildProxy, command: list[str], relay: Relay, folder: Path) -> int:
    """Run the command when the proxy is ready; its status."""
    log = folder / "log"
    try:
        ready = proxy.ready()
    except ProxyEndedError:
        _repeat(log)
        raise
    if ready.page:
        _say(f"mitmweb is at {ready.page}")
    authorities = folder / "ca.pem"
    authorities.write_bytes(bundle(os.environ, ready.confdir / frontend.AUTHORITY_FILE))
    proxy.watch(lambda: _tell_of_end(log))
    changes = variables(os.environ, proxy_url(ready.host, ready.port), str(authorities))
    try:
        return relay.run(command, {**os.environ, **changes})
    except OSError as error:
        raise _NotRunError(command[0], error) from None


def _tell_of_end(log: Path) -> None:
    _repeat(log)
    _say("the proxy has ended; the command goes on without it")


def _repeat(log: Path) -> None:
    """What the proxy said last, findings among it: as it is, for programs that look for files and lines."""
    sys.stderr.writelines(f"{line}\n" for line in last_words(log))


def _say(line: str) -> None:
    """Tell the person at the terminal, beside what the command says."""
    sys.stderr.write(f"llm-fallback: {line}\n")
    sys.stderr.flush()
