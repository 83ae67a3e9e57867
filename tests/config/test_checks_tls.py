"""Files of certificates and keys, and which names are checked."""

import os
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tests.config.checked import A, codes, said
from tests.config.written import CUSTOM, provider, rule

TLS = "spec.trafficPolicy.tls"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Certificates and keys of two clients, and files that hold something else."""
    monkeypatch.chdir(tmp_path)
    authority = trustme.CA()
    authority.cert_pem.write_to_path("ca.pem")
    for name in ("client", "other"):
        issued = authority.issue_cert(f"{name}.example.com")
        issued.cert_chain_pems[0].write_to_path(f"{name}.pem")
        issued.private_key_pem.write_to_path(f"{name}.key")
    key = load_pem_private_key(Path("client.key").read_bytes(), None)
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    Path("locked.key").write_bytes(encrypted)
    Path("text.pem").write_text("no certificate")
    Path("binary.pem").write_bytes(bytes(range(256)))
    return tmp_path


def with_tls(settings: str) -> str:
    return A + rule("a.com", trafficPolicy=f"{{tls: {{{settings}}}}}")


NO_FILE = "the file cannot be read: No such file or directory"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("ca.pem", None),
        ("system", None),
        ("nowhere.pem", NO_FILE),
        ("text.pem", "the file holds no certificates"),
        ("binary.pem", "the file holds no certificates"),
        (".", "it is no regular file"),
        ("/dev/zero", "it is no regular file"),
        ('"a\\0b"', "the file cannot be read: this is no name of a file"),
    ],
)
def test_authorities(file: str, problem: str | None) -> None:
    """A PEM file of them, or the system's."""
    found = said(with_tls(f"mode: SIMPLE, caCertificates: {file}"))

    hint = "(name a PEM file, or 'system') [unreadable-file]"
    assert found == ([f"DestinationRule/b: error: {TLS}.caCertificates: {problem} {hint}"] if problem else [])


@pytest.mark.usefixtures("folder")
def test_a_pipe_is_not_waited_for() -> None:
    """Nobody may ever write into it."""
    os.mkfifo("pipe")

    assert codes(with_tls("mode: SIMPLE, caCertificates: pipe")) == [f"unreadable-file {TLS}.caCertificates"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("certificate", "key", "field", "problem"),
    [
        pytest.param("client.pem", "client.key", None, None, id="fitting"),
        pytest.param("nowhere.pem", "client.key", "clientCertificate", NO_FILE, id="no-certificate"),
        pytest.param("client.pem", "nowhere.key", "privateKey", NO_FILE, id="no-key"),
        pytest.param(
            "text.pem", "client.key", "clientCertificate", "the file holds no certificate", id="another-file"
        ),
        pytest.param(
            "client.pem",
            "text.pem",
            "privateKey",
            "the file holds no private key that can be read without a password",
            id="another-file-as-key",
        ),
        pytest.param(
            "client.pem",
            "locked.key",
            "privateKey",
            "the file holds no private key that can be read without a password",
            id="a-key-with-a-password",
        ),
        pytest.param(
            "client.pem",
            "other.key",
            "privateKey",
            "the key does not belong to clientCertificate",
            id="another-key",
        ),
    ],
)
def test_client_certificates(certificate: str, key: str, field: str | None, problem: str | None) -> None:
    """A certificate and its key, which nobody is asked a password for."""
    found = said(with_tls(f"mode: MUTUAL, clientCertificate: {certificate}, privateKey: {key}"))

    expected = f"DestinationRule/b: error: {TLS}.{field}: {problem} (name a PEM file) [unreadable-file]"
    assert found == ([expected] if field else [])


UNUSED = "has no effect: mode is"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param("mode: DISABLE", [], id="off"),
        pytest.param("mode: DISABLE, insecureSkipVerify: false", [], id="off-in-every-way"),
        pytest.param(
            "mode: DISABLE, caCertificates: nowhere.pem, sni: b.com",
            [f"info: {TLS}.caCertificates: {UNUSED} DISABLE", f"info: {TLS}.sni: {UNUSED} DISABLE"],
            id="turned-off",
        ),
        pytest.param(
            "mode: SIMPLE, clientCertificate: nowhere.pem, privateKey: nowhere.key",
            [
                f"warning: {TLS}.clientCertificate: {UNUSED} SIMPLE (write mode: MUTUAL)",
                f"warning: {TLS}.privateKey: {UNUSED} SIMPLE (write mode: MUTUAL)",
            ],
            id="a-certificate-that-is-not-presented",
        ),
        pytest.param(
            "sni: b.com",
            [f"warning: {TLS}: has no mode, which is DISABLE: nothing is encrypted (write mode: SIMPLE)"],
            id="no-mode",
        ),
    ],
)
def test_what_a_mode_does_not_use(settings: str, expected: list[str]) -> None:
    """Files that are not used are not read, either."""
    assert said(with_tls(settings)) == [f"DestinationRule/b: {line} [no-effect]" for line in expected]


def test_a_rule_of_a_provider_without_a_mode() -> None:
    """The key would be for everybody to read."""
    text = provider(metadata=CUSTOM) + rule("a.com", trafficPolicy="{tls: {sni: a.com}}")

    assert said(text) == [
        (
            f"DestinationRule/b: warning: {TLS}: has no mode, which is DISABLE: requests to this provider,"
            " with its key, are sent unencrypted (write mode: SIMPLE) [no-tls]"
        )
    ]
    assert codes(text.replace("sni: a.com", "mode: DISABLE")) == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param("", None, id="no-sni"),
        pytest.param(
            ", sni: b.com",
            "is sent as it is; the certificate is checked against the host (the mesh checks no name)",
            id="another-sni",
        ),
        pytest.param(
            ", sni: a.com",
            "the certificate is checked against the host (the mesh checks no name)"
            " (remove it: the host is sent without it too)",
            id="the-host-as-sni",
        ),
        pytest.param(", sni: b.com, subjectAltNames: [b.com]", None, id="names"),
        pytest.param(", sni: b.com, insecureSkipVerify: true", None, id="no-verification"),
    ],
)
def test_an_explicit_sni(settings: str, expected: str | None) -> None:
    """Without names beside it, the mesh checks the chain only."""
    line = f"DestinationRule/b: info: {TLS}.sni: {expected} [stricter-name-check]"

    assert said(with_tls(f"mode: SIMPLE{settings}")) == ([line] if expected else [])
    subset = f"[{{name: s, trafficPolicy: {{tls: {{mode: SIMPLE{settings}}}}}}}]"
    assert len(said(A + rule("a.com", subsets=subset))) == (expected is not None)
