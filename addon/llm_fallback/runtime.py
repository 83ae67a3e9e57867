"""Where the proxies of this account run: a file for each, which other programs find them by.

It holds the token with which a proxy lets itself be told what to do, so nobody else can read it.
"""

import json
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FOLDER_VARIABLE = "LLM_FALLBACK_RUNTIME_DIR"

DESCRIPTOR_VARIABLE = "LLM_FALLBACK_RUN_DESCRIPTOR"
"""The end of the socket between a proxy and the `llm-fallback run` that has started it."""

OPTIONS_VARIABLE = "LLM_FALLBACK_RUN_OPTIONS"
"""The names, with commas between, of the options that `llm-fallback run` was given: each has to be there."""

_HOW_TO_START = "start one with llm-fallback run, or with mitmproxy's --set llm_admin=127.0.0.1:9901"


class NoRuntimeError(LookupError):
    """There is not exactly one proxy as asked for, in a sentence."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A running proxy: where it takes requests, where its admin page is (`127.0.0.1:9901`), and its token.

    `started_at` is in seconds since 1970.
    """

    pid: int
    proxy: tuple[str, ...]
    admin: str
    token: str = field(repr=False)
    started_at: float

    @property
    def url(self) -> str:
        """The admin page, without a slash at the end."""
        return f"http://{self.admin}"


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(32)


def folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the files are. Raises RuntimeError where no variable says so and there is no home."""
    if place := environment.get(FOLDER_VARIABLE):
        return Path(place)
    if place := environment.get("XDG_RUNTIME_DIR"):
        return Path(place, "llm-fallback")
    return Path("~/.mitmproxy/llm-fallback").expanduser()


def write(runtime: Runtime, environment: Mapping[str, str] = os.environ) -> Path:
    """Make the proxy known; what was known of this process before is replaced at once.

    Raises OSError if that cannot be.
    """
    running(environment)  # whose files stayed behind: those of a process that was killed hold its token
    place = _folder(environment)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=place, prefix=".", suffix=".tmp")  # only its owner can read it
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(runtime), file)
        return Path(name).replace(place / f"{runtime.pid}.json")
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def remove(runtime: Runtime, environment: Mapping[str, str] = os.environ) -> None:
    """Make it known no more. Raises OSError if that cannot be."""
    (_folder(environment) / f"{runtime.pid}.json").unlink(missing_ok=True)


def running(environment: Mapping[str, str] = os.environ) -> tuple[Runtime, ...]:
    """The proxies that run, the oldest first; the files of others are removed."""
    known: dict[str, Runtime] = {}
    for runtime in sorted(_read(environment), key=lambda each: each.started_at):
        known[runtime.admin] = runtime  # two cannot be there: another process has the older one's id now
    return tuple(known.values())


def find(admin: str | None = None, environment: Mapping[str, str] = os.environ) -> Runtime:
    """The proxy that runs, or that with this admin page (`127.0.0.1:9901`, also as a URL).

    Raises NoRuntimeError if there is none, or more than one to choose from.
    """
    found = running(environment)
    if admin is not None:
        address = admin.removeprefix("http://").rstrip("/").replace("localhost:", "127.0.0.1:")
        found = tuple(each for each in found if each.admin == address)
    if len(found) > 1:
        pages = ", ".join(each.admin for each in found)
        raise NoRuntimeError(f"{len(found)} proxies are running; say which one with --admin ADDRESS: {pages}")
    if not found:
        which = f"the admin page {admin}" if admin else f"an admin page; {_HOW_TO_START}"
        raise NoRuntimeError(f"no proxy of this account is running with {which}")
    return found[0]


def _folder(environment: Mapping[str, str]) -> Path:
    try:
        return folder(environment)
    except RuntimeError as error:
        raise OSError(f"set {FOLDER_VARIABLE}: there is no home folder") from error


def _read(environment: Mapping[str, str]) -> Iterator[Runtime]:
    try:
        files = sorted(_folder(environment).glob("*.json"))
    except OSError:
        return
    for file in files:
        if not (file.stem.isascii() and file.stem.isdigit()):
            continue
        try:
            if not _is_ours(file):
                continue
            if not _is_alive(int(file.stem)):
                file.unlink(missing_ok=True)
            elif (runtime := _parse(file.read_bytes())) and runtime.pid == int(file.stem):
                yield runtime
        except OSError:
            continue  # somebody else's, or gone meanwhile


def _is_ours(file: Path) -> bool:
    """Whether it is a plain file of this account: others may be able to write into the folder."""
    found = file.lstat()
    return stat.S_ISREG(found.st_mode) and (not hasattr(os, "getuid") or found.st_uid == os.getuid())


def _is_alive(pid: int) -> bool:
    if os.name == "nt":
        return True  # signal 0 is Ctrl-C there: a file that was left behind is better than a proxy that ends
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _parse(content: bytes) -> Runtime | None:
    """What the file says; None if it is not one of these."""
    try:
        match json.loads(content):
            case {
                "pid": int(pid),
                "proxy": [*proxy],
                "admin": str(admin),
                "token": str(token),
                "started_at": int(started_at) | float(started_at),
            } if _are_texts(proxy):
                return Runtime(pid, tuple(proxy), admin, token, float(started_at))
    except (ValueError, OverflowError, RecursionError):
        pass
    return None


def _are_texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)
