"""`llm-fallback env`: a shell's variables for a proxy that runs."""

import argparse
import os
import shlex
import sys
import tempfile
from pathlib import Path

from llm_fallback.addresses import with_port
from llm_fallback.cli.ca_bundle import UnreadableError, bundle
from llm_fallback.cli.environment import SHELLS, proxy_url, script, variables
from llm_fallback.cli.frontend import NoAuthorityError, authority
from llm_fallback.cli.listening import DEFAULT_LISTEN, add_listen

_BUNDLE_FILE = "llm-fallback-ca-bundle.pem"
_DESCRIPTION = """\
Print the lines that lead what is started in a shell through a proxy, which runs already or will:

  eval "$(llm-fallback env)"
  llm-fallback env --shell fish | source

They set the variables for proxies, and those by which Python, Node, curl, git and others find authorities;
the file that these name is made anew each time, in mitmproxy's folder. Hosts that are exempt in NO_PROXY stay
so, and loopback is, too. Exit status: 0, 1 if the file cannot be made, 2 for bad usage."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "env",
        help="print what leads a shell through the proxy",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_listen(parser, "where the proxy listens (default: 127.0.0.1:8080)", lowest_port=1)
    parser.add_argument("--shell", choices=tuple(SHELLS), default="sh", help="default: sh")
    parser.add_argument(
        "--confdir",
        type=Path,
        default=Path("~/.mitmproxy"),
        metavar="FOLDER",
        help="mitmproxy's folder (default: ~/.mitmproxy)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    folder: Path = options.confdir.expanduser().absolute()
    try:
        content = bundle(os.environ, authority(folder))
        file = _replaced(folder / _BUNDLE_FILE, content)
    except (NoAuthorityError, UnreadableError) as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"{folder / _BUNDLE_FILE} cannot be written ({error.strerror})")
    listen = options.listen or DEFAULT_LISTEN
    changes = variables(os.environ, proxy_url(*listen), str(file))
    text = script(options.shell, changes, _arguments(options))
    sys.stdout.buffer.write(os.fsencode(text))
    return 0


def _arguments(options: argparse.Namespace) -> str:
    """What has to be said again for the same lines."""
    said = ""
    if options.listen:
        said += f" --listen {with_port(*options.listen)}"
    if options.confdir != Path("~/.mitmproxy"):
        said += f" --confdir {shlex.quote(str(options.confdir))}"
    return said


def _replaced(file: Path, content: bytes) -> Path:
    """The file with this content, at no moment without any."""
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".", delete=False) as new:
        new.write(content)
    return Path(new.name).replace(file)


def _failed(reason: str) -> int:
    sys.stderr.write(f"llm-fallback: {reason}\n")
    return 1
