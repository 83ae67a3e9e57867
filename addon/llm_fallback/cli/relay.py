"""Signals on their way to a command."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

_PASSED_ON = frozenset({"SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"})
_OF_A_KEY = frozenset({"SIGINT", "SIGQUIT"})


class StoppedError(Exception):
    """A signal came before there was a command to pass it on to."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.strsignal(number))
        self.number = number


class Relay:
    """Passes on the signals that this process gets; those that it is to ignore, the command is, too."""

    def __init__(self) -> None:
        """Begin: from now on, and until there is a command, a signal raises StoppedError."""
        self._command: subprocess.Popen[bytes] | None = None
        self._is_starting = False
        self._is_over = False
        self._waiting: list[int] = []
        for number in signal.Signals:
            if number.name in _PASSED_ON and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._take)

    def run(self, command: Sequence[str], environment: dict[str, str]) -> int:
        """Run the command; its status as a shell has it, 128 + n where signal n ended it. Raises OSError."""
        self._is_starting = True
        try:
            self._command = subprocess.Popen(command, env=environment)  # noqa: S603 - what the user asks for
            for number in self._waiting:
                self._pass_on(number)
            status = self._command.wait()
        finally:
            self._is_over = True
        return 128 - status if status < 0 else status

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self._is_over:
            return  # the proxy is being stopped, which takes no more than a moment
        if self._command:
            self._pass_on(number)
        elif self._is_starting:
            self._waiting.append(number)
        else:
            self._is_over = True
            raise StoppedError(number)

    def _pass_on(self, number: int) -> None:
        assert self._command  # noqa: S101 - it has been started
        # A key at the terminal reaches the command without us, and twice is not the same as once.
        if signal.Signals(number).name not in _OF_A_KEY or not _is_in_foreground():
            with suppress(ProcessLookupError):
                self._command.send_signal(number)


def _is_in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
