"""SIGHUP: a reload for those who send it, and still the end for those whose terminal is closed."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

_GRACE_S = 2.0


def install(
    loop: asyncio.AbstractEventLoop,
    *,
    on_demand: Callable[[], None],
    on_terminal_closed: Callable[[], None],
    at_once: Callable[[], None],
) -> Callable[[], None]:
    """Handle SIGHUP where there is one; returns what undoes it.

    The terminal's end is told to `at_once` where the signal is handled: the loop may not come to anything.
    """
    if not hasattr(signal, "SIGHUP"):
        return lambda: None
    before = signal.getsignal(signal.SIGHUP)
    # A process under nohup outlives its terminal; a daemon or a container has none.
    ends_with_terminal = before is not signal.SIG_IGN and _has_terminal()

    def hang_up(number: int, _frame: FrameType | None) -> None:
        if ends_with_terminal and not _has_terminal():
            at_once()  # before another signal is the end: the kernel sends one, and so does the shell
            # The console reads from its closed terminal for ever, and nothing in its loop comes to pass.
            signal.signal(number, signal.SIG_DFL)
            _in_any_case_after(_GRACE_S, number)
            loop.call_soon_threadsafe(on_terminal_closed)
        else:
            loop.call_soon_threadsafe(on_demand)

    try:
        signal.signal(signal.SIGHUP, hang_up)
    except ValueError:
        return lambda: None  # not the main thread

    def uninstall() -> None:
        signal.signal(signal.SIGHUP, before)

    return uninstall


def _in_any_case_after(seconds: float, number: int) -> None:
    timer = threading.Timer(seconds, os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()


def _has_terminal() -> bool:
    """Whether there is a controlling terminal: opening it fails from the moment it is closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
