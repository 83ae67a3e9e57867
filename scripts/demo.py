"""Plays the tutorial on this machine: two requests, an ejection, the fallback, and the primary's recovery.

Then it is played once more with one policy added, and both requests are answered. The proxy is the real one,
with the YAML of config/ as published; config/demo/ leads both providers' names to stand-ins on this machine,
with certificates of an authority that only this proxy trusts.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from demo_acts import play
from demo_terminal import DemoError, Terminal


class Stopped(Exception):  # noqa: N818 - being asked to stop is not an error
    """A signal asked the demo to end."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.number = number


@asynccontextmanager
async def signals_stop_us() -> AsyncIterator[None]:
    """Turn the first signal into Stopped, raised in this task; later ones must not disturb the tidying up."""
    task = asyncio.current_task()
    assert task is not None
    received: list[signal.Signals] = []

    def note(number: signal.Signals) -> None:
        received.append(number)
        if len(received) == 1:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, note, number)
    try:
        yield
    except asyncio.CancelledError:
        if not received:
            raise
        raise Stopped(received[0]) from None


async def run(terminal: Terminal, *, keep: bool) -> None:
    """Play in a temporary directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="llm-fallback-demo-", ignore_cleanup_errors=True) as work:
        async with signals_stop_us():
            await play(terminal, Path(work), keep=keep)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the story; 0 if it went as the tutorial says, 1 if not."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Plays the tutorial on this machine: a failure, the fallback, the recovery; then the same"
        " with a policy that loses no request. Takes less than 20 seconds; needs no key and no network.",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave it running afterwards, with the admin page and mitmweb's"
    )
    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr] # typed as TextIO; a terminal without UTF-8
    terminal = Terminal.of_this_process()
    try:
        asyncio.run(run(terminal, keep=options.keep))
    except DemoError as error:
        terminal.progress_done()
        print(f"{terminal.paint('The demo failed:', '31')} {error}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        terminal.progress_done()
        asked_to_keep = options.keep and stopped.number is signal.SIGINT
        return 0 if asked_to_keep else 128 + stopped.number
    except BrokenPipeError:  # `scripts/demo | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
