"""Where a proxy listens, as people write it, and whether it can."""

import argparse
import errno
import ipaddress
import re
import socket

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


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches who listens there; of names but localhost nobody knows."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_taken(host: str, port: int) -> bool:
    """Whether somebody else listens there. What else may be wrong, who listens will say."""
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return False
    return any(_is_taken(family, place) for family, _, _, _, place in places)


def _is_taken(family: int, place: tuple[object, ...]) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(place)
            probe.listen(1)
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False
