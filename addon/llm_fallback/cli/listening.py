"""Where a proxy listens, as people write it."""

import argparse
import re

DEFAULT_LISTEN = ("127.0.0.1", 8080)
_PLACE = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^\[\]:/@\s]+)):(?P<port>[0-9]{1,5})")


def add_listen(parser: argparse.ArgumentParser, explained: str, *, lowest_port: int = 0) -> None:
    """Add the option `--listen`; None where it is not given. Port 0 is any that is free."""
    parser.add_argument(
        "--listen", type=lambda written: _place(written, lowest_port), metavar="HOST:PORT", help=explained
    )


def _place(written: str, lowest_port: int) -> tuple[str, int]:
    found = _PLACE.fullmatch(written)
    if found is None or not lowest_port <= int(found["port"]) <= 65535:
        raise argparse.ArgumentTypeError(f"{written!r} is not an address; write 127.0.0.1:8080")
    return found["v6"] or found["host"], int(found["port"])
