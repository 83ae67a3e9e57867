"""Names: hosts, labels, headers, gateways, as Istio's validation has them."""

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from llm_fallback.resources.base import FieldError, UnsupportedError

MESH = "mesh"
"""The gateway that stands for the sidecars of the mesh."""

_MAX_HOST = 255
_MAX_LABEL = 63
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_HEADER = re.compile(r"[-_A-Za-z0-9]+")
_MATCHED_HEADER = re.compile(r":?[-!#$%&'*+.^_|~`A-Za-z0-9]+")
_NOT_A_HOST = "not a host name; write a DNS name such as api.example.com"


def is_label(value: str) -> bool:
    """Whether it is one label of a DNS name."""
    return _LABEL.fullmatch(value) is not None


def parse_host(value: str) -> str:
    """A DNS name in lower case, without the root's dot: Istio compares hosts without regard to case.

    Raises ValueError for anything else; an address is no name, as its last label is a number.
    """
    if "*" in value:
        raise ValueError("not one host but a wildcard; write the full name")
    labels = value.removesuffix(".").split(".")
    if len(value) > _MAX_HOST or not all(map(is_label, labels)):
        raise ValueError(_NOT_A_HOST)
    return ".".join(labels).lower()


def parse_named_host(value: str) -> str:
    """As `parse_host`, and not an address: Istio takes no host whose last label is a number."""
    host = parse_host(value)
    if host.rpartition(".")[2].isdigit():
        raise ValueError("not a host name but an address; write a DNS name such as api.example.com")
    return host


def parse_host_pattern(value: str) -> str:
    """A host, `*` and a suffix (`*.example.com`), or `*` alone."""
    if value == "*":
        return value
    first, dot, rest = value.partition(".")
    if first == "*" and dot:
        return f"*.{parse_named_host(rest)}"
    if first.startswith("*") and is_label(first[1:].removeprefix("-")):
        raise UnsupportedError("a wildcard for a part of a label is not supported; write *.example.com")
    if "*" in value:
        raise ValueError("a wildcard stands for whole labels at the beginning; write *.example.com")
    return parse_named_host(value)


def _service_pattern(value: str) -> str:
    if value == "*":
        raise ValueError("a service has a name; write a DNS name such as api.example.com")
    return parse_host_pattern(value)


def _destination(value: str) -> str:
    if value == "*":
        raise ValueError("a destination is one host; write its full name")
    if "*" in value and parse_host_pattern(value):
        raise UnsupportedError("a wildcard as a destination is not supported; write the full name")
    return parse_named_host(value)


def host_matches(pattern: str, host: str) -> bool:
    """Whether a host, or a narrower pattern, lies within a pattern."""
    return pattern == host or pattern in patterns_around(host)


def patterns_around(host: str) -> Iterator[str]:
    """The wildcards that a host, or a narrower wildcard, lies within: the narrowest first."""
    if host == "*":
        return
    rest = host.removeprefix("*.")
    at = rest.find(".")
    while at != -1:
        yield f"*{rest[at:]}"
        at = rest.find(".", at + 1)
    yield "*"


def _label_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > _MAX_HOST or not all(map(is_label, prefix.split(".")))):
        return False
    return len(name) <= _MAX_LABEL and _QUALIFIED.fullmatch(name) is not None


def _labels(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        if not _label_key(key):
            raise FieldError("not a label's name; write letters, digits, '-', '_' and '.'", key)
        if text and (len(text) > _MAX_LABEL or not _QUALIFIED.fullmatch(text)):
            raise FieldError("not a label's value; write letters, digits, '-', '_' and '.'", key)
    return value


def _dns_label(value: str) -> str:
    if not is_label(value):
        raise ValueError("not a DNS label; write letters, digits and hyphens")
    return value


def matched_header(value: str) -> str:
    """The name of a header or pseudo-header that Istio matches on.

    Raises ValueError for anything else.
    """
    if not _MATCHED_HEADER.fullmatch(value):
        raise ValueError("not the name of a header; write one such as x-user-type")
    return value


def header_name(value: str) -> str:
    """A header's name of letters, digits, hyphens and underscores.

    Raises ValueError for anything else.
    """
    if not _HEADER.fullmatch(value):
        raise ValueError("not the name of a header; write letters, digits, '-' and '_'")
    return value


def _gateway(value: str) -> str:
    namespace, slash, name = value.partition("/")
    if not slash:
        return parse_named_host(value)
    if not is_label(namespace) or not is_label(name):
        raise ValueError("not the name of a gateway; write namespace/name")
    return value


Host = Annotated[str, AfterValidator(parse_host)]
HostPattern = Annotated[str, AfterValidator(parse_host_pattern)]
ServicePattern = Annotated[str, AfterValidator(_service_pattern)]
DestinationHost = Annotated[str, AfterValidator(_destination)]
DnsLabel = Annotated[str, AfterValidator(_dns_label)]
Labels = Annotated[dict[str, str], AfterValidator(_labels)]
GatewayName = Annotated[str, AfterValidator(_gateway)]
