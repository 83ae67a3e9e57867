"""Requests that no provider should see, and bytes that one should see as they are."""

from collections.abc import Iterator

import pytest

from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import connect, read_to_end
from tests.support.mesh import Host, write_mesh
from tests.support.provider import Provider, respond
from tests.support.proxy import Proxy, Setting

HOST = "primary.test"


@pytest.fixture(scope="module", name="stage")
def running(
    background: Background, authority: Authority, setting: Setting, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Proxy, Provider]]:
    """A provider whom one failure would eject."""
    provider = Provider(respond(), authority.issue(HOST))
    with background.serving(provider):
        host = Host(name=HOST, port=provider.port, path=None, threshold=1)
        with Proxy(setting, write_mesh(tmp_path_factory.mktemp("odd"), host)) as proxy:
            yield proxy, provider


def status_of(proxy: Proxy, line: bytes, *fields: bytes) -> bytes:
    """The status of the answer to a request, as it is sent byte for byte."""
    sent = [line, b"Host: primary.test", b"Connection: close", b"Content-Length: 2", *fields]
    with connect(proxy.port) as sock:
        sock.sendall(b"\r\n".join(sent) + b"\r\n\r\n{}")
        return read_to_end(sock).split(b" ")[1]


POST = b"POST http://primary.test/x HTTP/1.1"


@pytest.mark.parametrize(
    ("line", "field"),
    [
        pytest.param(POST, b"X-A: 1\r\n 2", id="a-folded-value"),
        pytest.param(POST, b"X-A: 1\rX-B: 2", id="a-bare-cr"),
        pytest.param(POST, b"X-A: 1\x002", id="nul-in-a-value"),
        pytest.param(POST, b"X-A: 1\x012", id="a-control-in-a-value"),
        pytest.param(POST, b"X-A: 1\x1b[31m", id="an-escape-in-a-value"),
        pytest.param(POST, b"X-A: 1\x7f", id="delete-in-a-value"),
        pytest.param(POST, b"X\x01A: 1", id="a-control-in-a-name"),
        pytest.param(POST, b"X A: 1", id="a-space-in-a-name"),
        pytest.param(b"PO\xffST http://primary.test/x HTTP/1.1", b"X-A: 1", id="a-method-that-is-no-token"),
        pytest.param(b"POST http://primary.test/a\x01b HTTP/1.1", b"X-A: 1", id="a-control-in-the-path"),
    ],
)
def test_a_request_that_is_none(stage: tuple[Proxy, Provider], line: bytes, field: bytes) -> None:
    """400 as from Envoy, at most one line in the log, and nothing that counts against the provider."""
    proxy, provider = stage
    seen, lines = len(provider.requests), len(proxy.requests())

    assert status_of(proxy, line, field) == b"400"

    assert status_of(proxy, POST, b"X-A: 1") == b"200"
    assert len(provider.requests) == seen + 1
    told = proxy.requests()[lines:]
    assert [entry for entry in told[:-1] if " | no attempt | 400 DPE in " not in entry] == []
    assert len(told) <= 2
    assert "while handling" not in proxy.log
    assert "ejected" not in proxy.log


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        pytest.param("café 请".encode(), "café 请".encode(), id="utf-8"),
        pytest.param(b"caf\xe9", "café".encode(), id="latin-1"),
        pytest.param(b"a\tb", b"a\tb", id="a-tab"),
    ],
)
def test_no_byte_of_a_value_is_lost(stage: tuple[Proxy, Provider], value: bytes, arrives: bytes) -> None:
    """What is UTF-8 arrives as it is; what is not arrives as the UTF-8 of its Latin-1."""
    proxy, provider = stage

    assert status_of(proxy, POST, b"X-Name: " + value) == b"200"

    received = provider.requests[-1].header("x-name")
    assert received is not None
    assert received.encode("latin-1") == arrives
