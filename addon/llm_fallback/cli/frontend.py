"""How mitmproxy's front ends are started with the addon: as programs, for only `mitm/` knows mitmproxy."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from llm_fallback.runtime import OPTIONS_VARIABLE

_MITM = Path(__file__).parents[1] / "mitm"
ADDON = _MITM / "addon.py"
"""The script that makes a front end of mitmproxy ours."""

COMPANION = _MITM / "companion.py"
"""The script that ties a front end to the one who has started it."""

MITMDUMP, MITMWEB, MITMPROXY = "mitmdump", "mitmweb", "mitmproxy"

AUTHORITY_FILE = "mitmproxy-ca-cert.pem"
"""The certificate, in mitmproxy's folder, that clients of https have to trust."""

_MAKE_AUTHORITY = """\
import sys
from pathlib import Path
from mitmproxy.certs import CertStore
from mitmproxy.options import CONF_BASENAME, KEY_SIZE
CertStore.from_store(Path(sys.argv[1]), CONF_BASENAME, KEY_SIZE)
"""


class NoAuthorityError(Exception):
    """mitmproxy's authority can be neither found nor made, in a sentence."""


def program(front_end: str) -> list[str]:
    """The front end of the interpreter that runs this, whatever is first on the PATH."""
    script = Path(sys.executable).with_name(front_end)
    # -P: nothing in the working directory, such as a types.py, is taken for a part of Python.
    if script.is_file():
        return [sys.executable, "-P", str(script)]
    return [sys.executable, "-P", "-c", f"from mitmproxy.tools.main import {front_end}; {front_end}()"]


def arguments(
    scripts: Sequence[Path], listen: tuple[str, int], options: Mapping[str, str], said: Sequence[str]
) -> list[str]:
    """What a front end is started with; of an option in both, the one that was `said` counts."""
    named = {option.partition("=")[0] for option in said}
    ours = [f"{name}={value}" for name, value in options.items() if name not in named]
    host, port = listen
    return [
        *(f"--scripts={script}" for script in scripts),
        f"--listen-host={host}",
        f"--listen-port={port}",
        *(f"--set={option}" for option in (*ours, *said)),
    ]


def environment(said: Sequence[str]) -> dict[str, str]:
    """What a front end is to know of how it was started: ours, and which options have to be there."""
    names = ",".join(option.partition("=")[0] for option in said)
    return {**os.environ, OPTIONS_VARIABLE: names}


def authority(folder: Path) -> Path:
    """The certificate of mitmproxy's authority, made first if this is the first use of the folder.

    Raises NoAuthorityError.
    """
    file = folder / AUTHORITY_FILE
    if file.is_file():
        return file
    made = subprocess.run(  # noqa: S603 - our interpreter
        [sys.executable, "-P", "-c", _MAKE_AUTHORITY, str(folder)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, "PYTHONUTF8": "1"},
        check=False,
    )
    if not file.is_file():
        reason = (
            made.stderr.decode(errors="replace").strip().splitlines() or ["mitmproxy does not say why"]
        )[-1]
        raise NoAuthorityError(f"mitmproxy's authority cannot be made in {folder}: {reason}")
    return file
