"""TLS to providers: names, authorities, and what a failed handshake counts."""

from collections.abc import Iterator
from typing import Any

from tests.parity.scenario import CA_FILE, Ask, Fault, Scenario, Service
from tests.parity.scenarios.common import ask, outlier


def _tls(name: str, *steps: Any, certificate: str = "", threshold: int = 2, **tls: Any) -> Scenario:
    verified = {} if "insecureSkipVerify" in tls else {"caCertificates": CA_FILE}
    policy = {"tls": {"mode": "SIMPLE", **verified, **tls}}
    host = certificate or f"primary.{name}.test"
    primary = Service(certificate=(host,), policy=policy, outlier=outlier(threshold))
    return Scenario(name=name, primary=primary, fallback=Service(), steps=tuple(steps) or (Ask(2), Ask()))


def _names() -> Iterator[Scenario]:
    other = "elsewhere.test"
    yield _tls("tls", *ask(200, 500, 500), Ask())
    yield _tls("tls-another-name", certificate=other)
    yield _tls("tls-another-name-threshold-5", certificate=other, threshold=5)
    yield _tls("tls-expected-name", certificate=other, subjectAltNames=[other])
    yield _tls("tls-one-of-the-names", certificate=other, subjectAltNames=["a.test", other])
    yield _tls("tls-none-of-the-names", certificate=other, subjectAltNames=["a.test"])
    yield _tls("tls-names-replace-the-host", subjectAltNames=["a.test"])
    yield _tls("tls-sni", certificate=other, sni=other, subjectAltNames=[other])
    yield _tls("tls-sni-and-host", sni="primary.tls-sni-and-host.test")
    yield _tls("tls-unverified", certificate=other, insecureSkipVerify=True)
    yield _tls("tls-wildcard", certificate="*.tls-wildcard.test")
    yield _tls("tls-refused", *ask(Fault.REFUSE), Ask())
    yield _tls("tls-reset", *ask(Fault.RESET, Fault.RESET), Ask())
    yield _tls("tls-cut", *ask(Fault.CUT, 500), Ask())


def _authorities() -> Iterator[Scenario]:
    strange = Service(
        certificate=("primary.tls-strange-authority.test",),
        policy={"tls": {"mode": "SIMPLE"}},  # the system's authorities, which ours is not among
        outlier=outlier(1),
    )
    yield Scenario(name="tls-strange-authority", primary=strange, fallback=Service(), steps=(Ask(2), Ask()))
    impatient = {"connectionPool": {"tcp": {"connectTimeout": "300ms"}}}
    policy = {"tls": {"mode": "SIMPLE", "caCertificates": CA_FILE}, **impatient}
    plain = Service(policy=policy, outlier=outlier(3))
    yield Scenario(name="tls-to-a-plain-server", primary=plain, fallback=Service(), steps=(Ask(2), Ask()))
    speaks = Service(certificate=("primary.tls-server.test",), outlier=outlier(3))
    yield Scenario(name="tls-server", primary=speaks, fallback=Service(), steps=(Ask(2), Ask(), Ask(2)))


GROUPS = (_names, _authorities)
