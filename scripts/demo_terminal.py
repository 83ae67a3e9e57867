"""Where the demo is told: standard output, in colours for a person."""

import os
import sys
from dataclasses import dataclass


class DemoError(Exception):
    """The story did not go as the tutorial says; the message says where."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where the story is told. Colours and rewriting of a line only where a person looks."""

    interactive: bool
    colours: bool

    @classmethod
    def of_this_process(cls) -> "Terminal":
        """Look at standard output, TERM and NO_COLOR."""
        interactive = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        return cls(interactive, interactive and not os.environ.get("NO_COLOR"))

    def paint(self, text: str, code: str) -> str:
        """Return the text in an SGR colour, or as it is."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.colours else text

    def heading(self, text: str) -> None:
        """Begin a part of the story."""
        print(f"\n{self.paint(text, '1')}", flush=True)

    def say(self, text: str) -> None:
        """Print one line."""
        print(text, flush=True)

    def quote(self, label: str, text: str, code: str = "2") -> None:
        """Print what somebody else said."""
        print(f"  {label:<9} {self.paint(text, code)}", flush=True)

    def progress(self, text: str) -> None:
        """Show where we are: in place for a person, line by line for a file."""
        print(
            f"\r\x1b[K  {text}" if self.interactive else f"  {text}",
            end="" if self.interactive else "\n",
            flush=True,
        )

    def progress_done(self) -> None:
        """Remove what `progress` left behind."""
        if self.interactive:
            print("\r\x1b[K", end="", flush=True)


def require(condition: object, message: str) -> None:
    """Raise DemoError unless the condition holds."""
    if not condition:
        raise DemoError(message)
