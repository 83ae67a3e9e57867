"""Answers that rules give themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_fallback.config.routes import DirectResponse, Redirect
from llm_fallback.local_replies import LocalReply
from llm_fallback.matching import RequestFacts
from llm_fallback.redirects import location, reply


def facts(
    path: str = "/old/a", query: str = "", *, authority: str = "a.com", scheme: str = "http"
) -> RequestFacts:
    return RequestFacts("GET", scheme, authority, path, query, (), 80)


@pytest.mark.parametrize(
    ("redirect", "asked", "expected"),
    [
        pytest.param(Redirect(), facts(query="a=1"), "http://a.com/old/a?a=1", id="nothing-changes"),
        pytest.param(Redirect(scheme="https"), facts(), "https://a.com/old/a", id="scheme"),
        pytest.param(Redirect(authority="b.com"), facts(), "http://b.com/old/a", id="authority"),
        pytest.param(
            Redirect(authority="b.com"),
            facts(authority="a.com:81"),
            "http://b.com/old/a",
            id="authority-alone",
        ),
        pytest.param(Redirect(port=8443), facts(), "http://a.com:8443/old/a", id="port"),
        pytest.param(
            Redirect(port=8443), facts(authority="a.com:81"), "http://a.com:8443/old/a", id="port-is-replaced"
        ),
        pytest.param(
            Redirect(port=8443), facts(authority="[::1]:81"), "http://[::1]:8443/old/a", id="port-of-ipv6"
        ),
        pytest.param(
            Redirect(port=81), facts(authority="[::1]"), "http://[::1]:81/old/a", id="ipv6-without-port"
        ),
        pytest.param(
            Redirect(authority="b.com", port=81), facts(), "http://b.com:81/old/a", id="authority-and-port"
        ),
        pytest.param(
            Redirect(authority="b.com", port=80), facts(), "http://b.com/old/a", id="the-default-port"
        ),
        pytest.param(
            Redirect(scheme="https", authority="b.com", port=443),
            facts(),
            "https://b.com/old/a",
            id="of-https",
        ),
        pytest.param(
            Redirect(scheme="https", authority="b.com", port=80),
            facts(),
            "https://b.com:80/old/a",
            id="not-the-default-of-this-scheme",
        ),
        pytest.param(
            Redirect(port=0), facts(authority="a.com:81"), "http://a.com:81/old/a", id="derived-port"
        ),
        pytest.param(
            Redirect(scheme="https"), facts(authority="a.com:80"), "https://a.com/old/a", id="a-default-goes"
        ),
        pytest.param(
            Redirect(scheme="https"),
            facts(authority="a.com:81"),
            "https://a.com:81/old/a",
            id="another-stays",
        ),
        pytest.param(
            Redirect(scheme="http"),
            facts(authority="a.com:443", scheme="https"),
            "http://a.com/old/a",
            id="https-to-http",
        ),
        pytest.param(
            Redirect(scheme="http"),
            facts(authority="a.com:80"),
            "http://a.com:80/old/a",
            id="the-same-scheme",
        ),
        pytest.param(
            Redirect(uri="/new"), facts(query="a=1"), "http://a.com/new?a=1", id="uri-keeps-the-query"
        ),
        pytest.param(
            Redirect(uri="/new?b=2"), facts(query="a=1"), "http://a.com/new?b=2", id="or-brings-one"
        ),
        pytest.param(Redirect(uri="new"), facts(), "http://a.com/new", id="a-slash-is-added"),
        pytest.param(
            Redirect(from_request_port=True, scheme="https"),
            facts(),
            "https://a.com:80/old/a",
            id="the-port-called",
        ),
        pytest.param(
            Redirect(authority="b.com"),
            facts(query="key=sk-1&a=1"),
            "http://b.com/old/a?a=1",
            id="a-key-stays-behind",
        ),
    ],
)
def test_location(redirect: Redirect, asked: RequestFacts, expected: str) -> None:
    assert location(redirect, asked) == expected


def test_reply() -> None:
    """Status and place, or status and body; nothing else."""
    redirect = Redirect(308, authority="b.com")

    assert reply(redirect, facts()) == LocalReply(308, headers=(("location", "http://b.com/old/a"),))
    assert reply(DirectResponse(418, b"tea\xff"), facts()) == LocalReply(418, "tea\udcff")


@pytest.mark.parametrize(
    ("status", "has_location"), [(200, False), (201, True), (202, False), (302, True), (400, False)]
)
def test_a_fixed_answer_that_needs_a_place_names_the_clients_own(status: int, *, has_location: bool) -> None:
    """As Envoy does, of its own accord."""
    headers = (("location", "http://a.com/old/a?a=1"),) if has_location else ()

    assert reply(DirectResponse(status, b"x"), facts(query="a=1")) == LocalReply(status, "x", headers=headers)


@given(st.sampled_from(["a.com", "a.com:80", "a.com:81", "[::1]:443", "[::1]"]), st.integers(1, 65535))
def test_a_port_occurs_once(authority: str, port: int) -> None:
    """Whatever the client wrote."""
    place = location(Redirect(port=port), facts("/", authority=authority))

    if port == 80:
        assert place == f"http://{authority}/"
    else:
        host = "[::1]" if authority.startswith("[") else "a.com"
        assert place == f"http://{host}:{port}/"
