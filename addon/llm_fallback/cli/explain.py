"""`llm-fallback explain`: what would happen to one request, and why."""

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit

from llm_fallback.addresses import DEFAULT_PORTS
from llm_fallback.cli.check import add_files, add_workload, load_files, write
from llm_fallback.config import Severity, Snapshot
from llm_fallback.config.snapshot import TargetKey
from llm_fallback.explanation import as_data, as_text, explain
from llm_fallback.headers import Headers
from llm_fallback.messages import OriginalRequest
from llm_fallback.overrides import BadActionError
from llm_fallback.overrides.places import place_of_targets
from llm_fallback.paths import normalised

_DESCRIPTION = """\
Say what would happen to a request, and why: the rule it falls under, those it does not, its target, its
fallback, what would be sent, and the limits in force. Nothing is sent, and credentials are not shown.

  llm-fallback explain --url http://api.example.com/v1/chat/completions --body '{"messages": []}'
  llm-fallback explain --url http://api.example.com/ --header 'user-type: subscriber' --eject api.example.com

docs/explain.md explains the JSON of -o json. Exit status: 0 if there is an answer, 1 if the configuration has
errors, 2 for bad usage."""

_MAX_WIDTH = 120


class _BadUsage(Exception):  # noqa: N818 - it is what argparse calls it
    """One sentence about an argument."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "explain",
        help="say what would happen to a request, and why",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_files(parser)
    parser.add_argument("--url", required=True, metavar="URL", help="what the client asks for")
    parser.add_argument("--method", default="POST", metavar="METHOD", help="default: POST")
    parser.add_argument(
        "--header",
        dest="headers",
        default=[],
        action="append",
        metavar="'NAME: VALUE'",
        help="of the request; may be repeated",
    )
    parser.add_argument("--body", default="", metavar="TEXT|@FILE", help="the body, or the file with it")
    parser.add_argument(
        "--eject",
        dest="ejected",
        default=[],
        action="append",
        metavar="HOST[:PORT][/SUBSET]",
        help="as if all endpoints of a host, or of one port or subset, were ejected; may be repeated",
    )
    add_workload(parser)
    parser.add_argument("-o", dest="output", choices=("text", "json"), default="text", help="default: text")
    parser.set_defaults(run=lambda options: _run(options, parser.error))


def _run(options: argparse.Namespace, refuse: Callable[[str], NoReturn]) -> int:
    try:
        request = _request(options)
    except _BadUsage as problem:
        refuse(str(problem))
    options.files = [_near(path) for path in options.files or ()]
    loaded = load_files(options)
    if loaded.snapshot is None:
        with redirect_stdout(sys.stderr):
            write([finding for finding in loaded.findings if finding.severity is Severity.ERROR])
        return 1
    try:
        ejected = {key for place in options.ejected for key in _targets(loaded.snapshot, place)}
    except _BadUsage as problem:
        refuse(str(problem))
    told = explain(loaded.snapshot, request, is_ejected=lambda target, _: target.key in ejected)
    if options.output == "json":
        sys.stdout.write(json.dumps(as_data(told), indent=2) + "\n")
    else:
        width = min(shutil.get_terminal_size((100, 24)).columns, _MAX_WIDTH)
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(
            as_text(told, width=width).encode(encoding, "backslashreplace").decode(encoding) + "\n"
        )
    return 0


def _near(path: Path) -> Path:
    """The path from the working directory, if it is in there: shorter to read."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _request(options: argparse.Namespace) -> OriginalRequest:
    url = _url(options.url)
    path = url.path + (f"?{url.query}" if url.query else "")
    return OriginalRequest(
        options.method,
        (url.hostname or "").removesuffix("."),
        url.port or DEFAULT_PORTS[url.scheme],
        normalised(path or "/"),
        _headers(options.headers),
        _body(options.body),
        url.scheme,
    )


def _url(written: str) -> SplitResult:
    """The URL's parts. What is said of a bad one does not quote it: it may hold a key."""
    try:
        url = urlsplit(written)
        port = url.port
    except ValueError:
        url, port = urlsplit(""), None
    if url.scheme not in DEFAULT_PORTS or not url.hostname or port == 0:
        raise _BadUsage(
            "--url: not a URL; write it whole, such as http://api.example.com/v1/chat/completions"
        )
    if "@" in url.netloc:
        raise _BadUsage("--url: it names a user; write --header 'Authorization: ...' instead")
    return url


def _headers(written: Sequence[str]) -> Headers:
    pairs = [field.partition(":") for field in written]
    for number, (name, colon, _) in enumerate(pairs, 1):
        if not colon or not name.strip():
            raise _BadUsage(f"--header: number {number} is not a header; write 'Name: value'")
    return tuple((name.strip(), value.strip()) for name, _, value in pairs)


def _body(written: str) -> bytes:
    if not written.startswith("@"):
        return written.encode("utf-8", "surrogateescape")
    try:
        return Path(written[1:]).read_bytes()
    except OSError as error:
        raise _BadUsage(f"--body: {written[1:]} cannot be read ({error.strerror})") from None


def _targets(snapshot: Snapshot, written: str) -> list[TargetKey]:
    """The targets that `HOST[:PORT][/SUBSET]` means."""
    try:
        return [target.key for target in place_of_targets(written).targets(snapshot)]
    except BadActionError as problem:
        raise _BadUsage(f"--eject: {problem}") from None
