"""Hosts and other names, as Istio has them."""

import pytest
from pydantic import TypeAdapter, ValidationError

from llm_fallback.resources.names import (
    DestinationHost,
    GatewayName,
    Host,
    HostPattern,
    Labels,
    host_matches,
    matched_header,
    parse_named_host,
    patterns_around,
)

HOST = TypeAdapter(Host)


@pytest.mark.parametrize(
    ("written", "host"),
    [
        pytest.param("a.com", "a.com", id="as-it-is"),
        pytest.param("API.Example.COM", "api.example.com", id="lower-cased"),
        pytest.param("a.com.", "a.com", id="without-the-roots-dot"),
        pytest.param("localhost", "localhost", id="one-label"),
        pytest.param("10.0.0.1", "10.0.0.1", id="address"),
        pytest.param("xn--fiq228c.com", "xn--fiq228c.com", id="punycode"),
        pytest.param("a" * 63 + ".com", "a" * 63 + ".com", id="longest-label"),
    ],
)
def test_hosts(written: str, host: str) -> None:
    """DNS names, compared without regard to case."""
    assert HOST.validate_python(written) == host


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("", id="empty"),
        pytest.param(".", id="root"),
        pytest.param("*", id="wildcard"),
        pytest.param("*.a.com", id="wildcard-label"),
        pytest.param("a..com", id="empty-label"),
        pytest.param("-a.com", id="hyphen-first"),
        pytest.param("a-.com", id="hyphen-last"),
        pytest.param("a b.com", id="space"),
        pytest.param("a.com\n", id="newline"),
        pytest.param("a.com:80", id="port"),
        pytest.param("http://a.com", id="url"),
        pytest.param("a.com/v1", id="path"),
        pytest.param("模型.com", id="not-punycode"),
        pytest.param("a" * 64 + ".com", id="label-too-long"),
    ],
)
def test_what_is_no_host(written: str) -> None:
    """Said to be none."""
    with pytest.raises(ValidationError, match="host"):
        HOST.validate_python(written)


@pytest.mark.parametrize("written", ["10.0.0.1", "a.com.1"])
def test_istios_hosts_are_no_addresses(written: str) -> None:
    """The last label of a name is no number."""
    with pytest.raises(ValueError, match="not a host name but an address"):
        parse_named_host(written)


@pytest.mark.parametrize(
    ("written", "pattern"),
    [("*", "*"), ("*.A.com", "*.a.com"), ("*.com.", "*.com"), ("a.com", "a.com")],
)
def test_patterns(written: str, pattern: str) -> None:
    """A wildcard stands for whole labels at the beginning."""
    assert TypeAdapter(HostPattern).validate_python(written) == pattern


@pytest.mark.parametrize("written", ["a.*", "a*.com", "**.com", "*.*.com", "*.", "a.*.com", "*.10"])
def test_what_is_no_pattern(written: str) -> None:
    """Istio takes none of them."""
    with pytest.raises(ValidationError, match=r"wildcard|host name"):
        TypeAdapter(HostPattern).validate_python(written)


@pytest.mark.parametrize("written", ["*.a.com", "*a.com", "*-a.com"])
def test_destinations_are_single_hosts(written: str) -> None:
    """Istio takes more of them than act here."""
    with pytest.raises(ValidationError, match="not supported"):
        TypeAdapter(DestinationHost).validate_python(written)


@pytest.mark.parametrize(
    ("host", "patterns"),
    [
        ("a.b.com", ["*.b.com", "*.com", "*"]),
        ("*.b.com", ["*.com", "*"]),
        ("*.com", ["*"]),
        ("localhost", ["*"]),
        ("*", []),
    ],
)
def test_patterns_around_a_host(host: str, patterns: list[str]) -> None:
    """A wildcard stands for at least one label."""
    assert list(patterns_around(host)) == patterns
    assert all(host_matches(pattern, host) for pattern in [host, *patterns])
    assert not host_matches("*.a.b.com", host)


@pytest.mark.parametrize("labels", [{}, {"app": "web"}, {"a.com/b": "c.d_e-f"}, {"a": ""}])
def test_labels(labels: dict[str, str]) -> None:
    """Those of Kubernetes."""
    assert TypeAdapter(Labels).validate_python(labels) == labels


@pytest.mark.parametrize("labels", [{"": "a"}, {"-a": "b"}, {"/a": "b"}, {"a": "*"}, {"a": "b" * 64}])
def test_what_is_no_label(labels: dict[str, str]) -> None:
    """Neither wildcards nor empty names."""
    with pytest.raises(ValidationError, match="not a label"):
        TypeAdapter(Labels).validate_python(labels)


@pytest.mark.parametrize("written", ["mesh", "shop/front", "front.shop.svc"])
def test_gateways(written: str) -> None:
    """By name, by namespace and name, or by host."""
    assert TypeAdapter(GatewayName).validate_python(written) == written


@pytest.mark.parametrize("written", ["", "a b", "a:b", "a\r\nb", "\u00e4"])
def test_what_is_no_headers_name(written: str) -> None:
    """Nothing that would end the line."""
    with pytest.raises(ValueError, match="not the name of a header"):
        matched_header(written)
