"""mitmdump without its start: one process imports what mitmdump imports, and every mitmdump is a fork of it.

To import takes a second of CPU, to fork a few milliseconds. What is forked is a process of its own, with its
own environment, output and status, and it ends as a Python program ends.
"""

import gc
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

_SERVE = "import sys; from tests.support.forking import serve; serve(int(sys.argv[1]))"
_MODULES = ("mitmproxy.tools.main", "mitmproxy.tools.dump", "mitmproxy.addons", "llm_fallback.mitm.addon")
_NUMBER = struct.Struct("i")
_MESSAGE_SIZE = 128 * 1024
_ANSWER_S = 60.0


class Forked:
    """A process that was forked, which can do what tests ask of a `subprocess.Popen`."""

    def __init__(self, keeper: socket.socket) -> None:
        self._keeper = keeper
        self._status: int | None = None
        keeper.settimeout(_ANSWER_S)
        self.pid = self._number()

    def wait(self, timeout: float) -> int:
        """Its status, or minus the signal that ended it; `subprocess.TimeoutExpired`."""
        if self._status is None:
            self._keeper.settimeout(timeout)
            try:
                self._status = self._number()
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired("mitmdump", timeout) from None
            self._keeper.close()
        return self._status

    def poll(self) -> int | None:
        """Its status, if it has ended."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def terminate(self) -> None:
        """Ask it to end, if it has not."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Make an end of it."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self._status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _number(self) -> int:
        number: int = _NUMBER.unpack(self._keeper.recv(_NUMBER.size))[0]
        return number


class Forks:
    """Starts mitmdump; `with` ends the process that it is forked from, which is started when it is needed.

    `environment` is that process's; what Python reads there at its start is so for all its forks.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def __enter__(self) -> "Forks":
        return self

    def __exit__(self, *_: object) -> None:
        if self._server and self._control:
            self._control.close()
            self._server.wait(_ANSWER_S)

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], log: int) -> Forked:
        """Fork a mitmdump with these arguments, whose output goes to the open file `log`."""
        control = self._control = self._control or self._serving()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            message = json.dumps([list(arguments), dict(environment)]).encode()
            socket.send_fds(control, [message], [theirs.fileno(), log])
        return Forked(ours)

    def _serving(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-c", _SERVE, str(theirs.fileno())],
                cwd=self._folder,
                env={**self._environment, "PYTHONPATH": str(self._folder / "addon")},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        return ours


def serve(descriptor: int) -> None:
    """Import, then fork whenever the socket says so, until it is closed; in a fork, be mitmdump."""
    for module in _MODULES:
        __import__(module)
    assert len(os.listdir("/proc/self/task")) == 1, "a thread would be missing in the forks"  # noqa: PTH208
    sys.path.remove(os.environ.pop("PYTHONPATH"))
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as control:
        while True:
            message, files, _, _ = socket.recv_fds(control, _MESSAGE_SIZE, 2)
            _forget_those_that_have_ended(os.WNOHANG if message else 0)
            if not message:
                return
            if os.fork() == 0:
                break
            for file in files:
                os.close(file)
    with socket.socket(fileno=files[0]) as keeper:
        if pid := os.fork():
            _keep(pid, keeper, files[1])
    arguments, environment = json.loads(message)
    _be_mitmdump(arguments, environment, files[1])


def _forget_those_that_have_ended(options: int) -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, options)[0]:
            pass


def _keep(pid: int, keeper: socket.socket, log: int) -> NoReturn:
    """Tell the test who it is and, at its end, with what status it ended."""
    os.close(log)
    with suppress(BrokenPipeError):
        keeper.send(_NUMBER.pack(pid))
        keeper.send(_NUMBER.pack(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
    os._exit(0)


def _be_mitmdump(arguments: list[str], environment: dict[str, str], log: int) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    sys.modules["mitmproxy.tools.main"].mitmdump()
