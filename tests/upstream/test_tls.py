"""Whom a connection trusts, who it says it is, and which connections share a context."""

import os
import ssl
import time
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from llm_fallback.config.snapshot import Target, Tls
from llm_fallback.outlier import Endpoint
from llm_fallback.retry import Failure
from llm_fallback.upstream.client import AttemptFailed, UpstreamClient
from llm_fallback.upstream.tls import TlsContexts
from tests.upstream.provider import Provider, ask, run


class Files:
    """An authority, and what it has issued, in files."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.ca, self.certificate, self.key = (str(folder / f"{name}.pem") for name in ("ca", "cert", "key"))
        self.authority.cert_pem.write_to_path(self.ca)
        issued = self.authority.issue_cert("client.example")
        issued.cert_chain_pems[0].write_to_path(self.certificate)
        issued.private_key_pem.write_to_path(self.key)

    def server(self, *names: str, asks_for_certificate: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*names).configure_cert(context)
        if asks_for_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            self.authority.configure_trust(context)
        return context

    def tls(self, sni: str, *names: str) -> Tls:
        return Tls(sni, names or (sni,), ca_file=self.ca)


@pytest.fixture(name="files")
def written(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.mark.parametrize(
    ("sni", "names", "is_good"),
    [
        pytest.param("a.com", ("a.com",), True, id="the-sni-is-the-name"),
        pytest.param("b.com", ("b.com",), False, id="not-in-the-certificate"),
        pytest.param("b.com", ("a.com",), True, id="another-sni"),
        pytest.param("a.com", ("b.com",), False, id="only-the-sni-is-in-the-certificate"),
        pytest.param("a.com", ("b.com", "a.com"), True, id="one-of-two-names"),
        pytest.param("B.com.", ("a.com",), True, id="an-sni-in-capitals-with-a-dot"),
        pytest.param("bücher.example", ("a.com",), True, id="an-sni-that-is-not-ascii"),
    ],
)
def test_the_certificate_bears_one_of_the_names(
    files: Files, sni: str, names: tuple[str, ...], *, is_good: bool
) -> None:
    """Whatever the SNI is."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider(files.server("a.com")) as provider:
            target = provider.target(tls=files.tls(sni, *names))
            client.prepare([target])
            if is_good:
                assert await ask(client, target) == "1"
                return
            with pytest.raises(AttemptFailed, match="certificate") as raised:
                await ask(client, target)
            assert raised.value.failure is Failure.CONNECT_FAILURE

    run(scenario)


def test_a_client_that_says_who_it_is(files: Files) -> None:
    """MUTUAL: the provider gets the certificate; without one, it serves nobody."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider(files.server("a.com", asks_for_certificate=True)) as provider:
            tls = files.tls("a.com")
            mutual = provider.target(tls=replace(tls, certificate_file=files.certificate, key_file=files.key))
            simple = replace(provider.target(tls=tls), subset="simple")
            client.prepare([mutual, simple])
            assert await ask(client, mutual) == "1"
            with pytest.raises(AttemptFailed):
                await ask(client, simple)

    run(scenario)


def test_targets_share_no_connection_unless_their_tls_is_the_same(files: Files) -> None:
    """Same endpoint, same authority, another name: another handshake, which fails."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider(files.server("a.com")) as provider:
            good = provider.target(tls=files.tls("a.com"))
            bad = replace(provider.target(tls=files.tls("b.com")), subset="b")
            client.prepare([good, bad])
            assert await ask(client, good) == "1"
            with pytest.raises(AttemptFailed, match="certificate"):
                await ask(client, bad)

    run(scenario)


def test_targets_share_a_context_if_they_trust_alike(files: Files) -> None:
    """The SNI belongs to the connection, and so do the names that go with it."""
    contexts = TlsContexts()
    plain = [files.tls(f"{number}.com") for number in range(3)]
    named = [files.tls(f"{number}.com", "other.com") for number in range(3)]
    conflicting = files.tls("0.com", "third.com")
    others = [
        Tls("a.com", ("a.com",), verify=False),
        replace(plain[0], certificate_file=files.certificate, key_file=files.key),
    ]
    contexts.adopt([*plain, *named, conflicting, *others])

    def ids(*group: Tls) -> set[int]:
        return {id(contexts.context(tls)) for tls in group}

    assert [len(ids(*group)) for group in (plain, named, others)] == [1, 1, 2]
    assert len(ids(*plain, *named, conflicting, *others)) == 5


def test_ten_thousand_targets(files: Files) -> None:
    """They are ready in the time that a few contexts take."""
    targets = [
        Target(f"{n}.com", 80, (Endpoint(f"{n}.com", 443),), tls=files.tls(f"{n}.com", f"{n % 2}.org"))
        for n in range(10_000)
    ]
    client = UpstreamClient()
    began = time.process_time()
    client.prepare(targets)
    assert time.process_time() - began < 3.0
    assert len({id(client._contexts.context(target.tls)) for target in targets if target.tls}) == 1


def test_a_file_that_has_changed_is_read_again(files: Files, tmp_path: Path) -> None:
    """At the next reload; others are not."""
    tls, other = files.tls("a.com"), replace(files.tls("a.com"), ca_file=str(tmp_path / "other.pem"))
    Path(other.ca_file or "").write_text(Path(files.ca).read_text())
    contexts = TlsContexts()
    contexts.adopt([tls, other])
    before = contexts.context(tls), contexts.context(other)
    contexts.adopt([tls, other])
    assert (contexts.context(tls), contexts.context(other)) == before
    os.utime(files.ca, (1, 1))
    contexts.adopt([tls, other])
    assert contexts.context(tls) is not before[0]
    assert contexts.context(other) is before[1]


def locked_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"a passphrase"),
    )


@pytest.mark.parametrize("wrong", ["missing", "garbage", "a locked key"])
def test_a_file_that_is_no_good(files: Files, tmp_path: Path, wrong: str) -> None:
    """It is said at once, and nothing changes; nobody is asked for a passphrase."""
    client = UpstreamClient()
    target = Target("a.com", 80, (Endpoint("a.com", 443),), tls=files.tls("a.com"))
    client.prepare([target])
    context = client.breakers(target)
    bad = tmp_path / "bad.pem"
    tls = replace(files.tls("b.com"), ca_file=str(bad))
    if wrong == "garbage":
        bad.write_text("no certificate")
    if wrong == "a locked key":
        bad.write_bytes(locked_key())
        tls = replace(files.tls("b.com"), certificate_file=files.certificate, key_file=str(bad))
    with pytest.raises(OSError, match=r".") as raised:  # ssl.SSLError is one
        client.prepare([Target("b.com", 80, (), tls=tls)])
    assert "b.com" not in str(raised.value)
    assert client.breakers(target) is context
