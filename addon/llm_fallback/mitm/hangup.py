"""SIGHUP: a reload for those who send it, and still the end for those whose terminal is closed."""

import asyncio
import os
import signal
from collections.abc import Callable


def install(
    loop: asyncio.AbstractEventLoop, *, on_demand: Callable[[], None], on_terminal_closed: Callable[[], None]
) -> Callable[[], None]:
    """Handle SIGHUP where there is one; returns what undoes it."""
    if not hasattr(signal, "SIGHUP"):
        return lambda: None
    before = signal.getsignal(signal.SIGHUP)
    # A process under nohup outlives its terminal; a daemon or a container has none.
    ends_with_terminal = before is not signal.SIG_IGN and _has_terminal()

    def hang_up() -> None:
        if ends_with_terminal and not _has_terminal():
            on_terminal_closed()
        else:
            on_demand()

    try:
        loop.add_signal_handler(signal.SIGHUP, hang_up)
    except (NotImplementedError, RuntimeError, ValueError):
        return lambda: None  # not the main thread, or a loop without signals

    def uninstall() -> None:
        loop.remove_signal_handler(signal.SIGHUP)
        signal.signal(signal.SIGHUP, before)

    return uninstall


def _has_terminal() -> bool:
    """Whether there is a controlling terminal: opening it fails from the moment it is closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
