"""A front end of mitmproxy as a child: until it is ready, while it runs, and to its end."""

import json
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from llm_fallback.runtime import DESCRIPTOR_VARIABLE

_START_S = 60.0
_STOP_S = 10.0
_MOST_SHOWN = 20
_NOISE = re.compile(r"^\[[0-9:.]+\] (?=.)|^(?:Loading script .*|Errors? logged during startup.*)$\n?")


class ProxyEndedError(Exception):
    """The proxy has not become ready, in a sentence; what it said has been said."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Where the proxy takes requests, mitmproxy's folder, and its web page if it has one."""

    host: str
    port: int
    confdir: Path
    page: str | None


class ChildProxy:
    """A proxy that ends with this process, however that ends; `with` starts and stops it.

    It has a session of its own, so that a ^C at the terminal is the command's alone. What it says goes to
    `log`, which may be the terminal.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log: IO[bytes] | IO[str]
    ) -> None:
        self._command = command
        self._environment = environment
        self._log = log
        self._stopping = threading.Event()
        self._watch: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our interpreter
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                env={
                    **self._environment,
                    DESCRIPTOR_VARIABLE: str(theirs.fileno()),
                    "PYTHONUNBUFFERED": "1",
                    "PYTHONUTF8": "1",
                },
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with suppress(OSError):  # it is gone
            self._socket.shutdown(socket.SHUT_RDWR)
        self._process.terminate()  # where it does not listen to the socket yet
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._watch:
            self._watch.join()
        self._socket.close()

    def ready(self) -> Ready:
        """Wait until it takes requests. Raises ProxyEndedError."""
        self._socket.settimeout(_START_S)
        try:
            with self._socket.makefile("rb") as lines:
                line = lines.readline()
        except TimeoutError:
            raise ProxyEndedError(f"the proxy is not ready after {_START_S:g} s") from None
        if not line.endswith(b"\n"):
            raise ProxyEndedError("the proxy did not start")
        self._socket.settimeout(None)
        said = json.loads(line)
        host, port = said["proxy"][0]
        return Ready(host, port, Path(said["confdir"]), said["page"])

    def watch(self, on_end: Callable[[], None]) -> None:
        """Have a function called, in a thread of its own, should the proxy end before it is asked to."""

        def wait() -> None:
            with suppress(OSError):
                self._socket.recv(1)
            if not self._stopping.is_set():
                on_end()

        self._watch = threading.Thread(target=wait, daemon=True)
        self._watch.start()


def last_words(log: Path) -> Iterator[str]:
    """The end of what a proxy has said, for a person."""
    lines = log.read_text("utf-8", "replace").splitlines()
    said = [_NOISE.sub("", _NOISE.sub("", line)) for line in lines]
    yield from [line for line in said if line][-_MOST_SHOWN:]
