"""IP addresses, and how one is written with a port."""

import ipaddress

DEFAULT_PORTS = {"http": 80, "https": 443}
"""By the scheme of a URL."""


def is_address(value: str) -> bool:
    """Whether it is an IP address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def with_port(host: str, port: int) -> str:
    """`host:port`, and `[address]:port` for an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
