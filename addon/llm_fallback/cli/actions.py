"""`llm-fallback eject|return|pin|fault|clear|reload`: act on a running proxy from another terminal."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from llm_fallback.cli.admin_api import ApiError, add_admin, ask, the_proxy
from llm_fallback.overrides import BadActionError
from llm_fallback.overrides.fault import FaultKind
from llm_fallback.overrides.places import FORM
from llm_fallback.overrides.words import fault_data, fault_file, seconds

_PLACE = f"{FORM}, where a host alone means all its targets"
_FAULT = f"""\
Make a provider fail, as far as the proxy and its clients can tell:

  llm-fallback fault api.example.com status 503
  llm-fallback fault api.example.com:80 status 429 --header 'Retry-After: 20' --count 3
  llm-fallback fault api.example.com delay 2s --percentage 50
  llm-fallback fault -f captured.json

Kinds: {", ".join(FaultKind)}.
cut is an answer of 200 that breaks off, hang never answers. A file is one that llm.export has written.
A fault lasts until llm-fallback clear, or until the proxy ends."""

type _Asked = Callable[[argparse.Namespace], dict[str, Any]]


class _UsageError(Exception):
    """Words that do not go together."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the parser."""
    eject = _command(commands, "eject", "take a provider or an endpoint out of rotation", _eject)
    eject.add_argument("place", metavar="PLACE", help=_PLACE)
    eject.add_argument(
        "--for", dest="time", metavar="TIME", help="such as 30s; without it, until it is returned"
    )
    put_back = _command(commands, "return", "put it back at once, whatever has taken it out", _return)
    put_back.add_argument("place", metavar="PLACE|all", help=_PLACE)
    pin = _command(commands, "pin", "send all requests for a host to one target", _pin)
    pin.add_argument("host", metavar="HOST", help="a managed host")
    pin.add_argument("target", metavar="TARGET", help="HOST[:PORT][/SUBSET]")
    _add_fault(commands)
    clear = _command(commands, "clear", "end faults, pins and ejections by hand", _clear)
    clear.add_argument("what", metavar="PLACE|HOST|all", nargs="?", default="all", help="default: all")
    _command(commands, "reload", "load the configuration again", lambda _: {})


def _add_fault(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    fault = _command(commands, "fault", "inject a fault", _fault, description=_FAULT)
    fault.add_argument("place", metavar="PLACE", nargs="?", help=_PLACE)
    fault.add_argument("words", metavar="KIND [VALUE]", nargs="*", help="such as status 503, or delay 2s")
    fault.add_argument("-f", dest="file", metavar="FILE", type=Path, help="a fault that was exported")
    fault.add_argument("--percentage", metavar="NUMBER", help="of the attempts; default: 100")
    fault.add_argument("--count", metavar="NUMBER", help="of the attempts that it strikes; default: all")
    fault.add_argument("--body", metavar="TEXT", help="of the answer")
    fault.add_argument(
        "--header", action="append", metavar="'NAME: VALUE'", help="of the answer; may be repeated"
    )


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    about: str,
    asked: _Asked,
    *,
    description: str | None = None,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=about,
        description=description or f"{about.capitalize()}, at a running proxy.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_admin(parser)
    parser.set_defaults(run=lambda options: _run(options, name, asked))
    return parser


def _run(options: argparse.Namespace, name: str, asked: _Asked) -> int:
    try:
        action = asked(options)
    except _UsageError as error:
        options.refuse(str(error))
    except BadActionError as error:
        sys.stderr.write(f"llm-fallback {name}: {str(error).removeprefix(f'{name}: ')}\n")
        return 2
    try:
        answer = ask(the_proxy(options.admin), f"/api/actions/{name}", action)
    except ApiError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    said = answer.get("message") if isinstance(answer, Mapping) else None
    sys.stdout.write(f"{said or 'done'}\n")
    return 0


def _eject(options: argparse.Namespace) -> dict[str, Any]:
    time = {} if options.time is None else {"for_s": seconds(options.time, "--for")}
    return {"place": options.place, **time}


def _return(options: argparse.Namespace) -> dict[str, Any]:
    return {"place": options.place}


def _pin(options: argparse.Namespace) -> dict[str, Any]:
    return {"host": options.host, "target": options.target}


def _clear(options: argparse.Namespace) -> dict[str, Any]:
    return {"what": options.what}


def _fault(options: argparse.Namespace) -> dict[str, Any]:
    given = {
        "--percentage": options.percentage,
        "--count": options.count,
        "--body": options.body,
        "--header": options.header,
    }
    named = {
        name: value if isinstance(value, list) else [value]
        for name, value in given.items()
        if value is not None
    }
    if options.file is None:
        if options.place is None:
            raise _UsageError("write PLACE and a fault, or -f FILE")
        return {"place": options.place, "fault": fault_data(options.words, named)}
    if options.words:
        raise _UsageError("write the fault or -f FILE, not both")
    place, data = fault_file(_read(options.file), options.place)
    changed = fault_data([FaultKind.CUT], named)  # which takes all options
    return {"place": place, "fault": {**data, **changed, "kind": data["kind"]}}


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadActionError(f"{file} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise BadActionError(f"{file} is not UTF-8") from None
