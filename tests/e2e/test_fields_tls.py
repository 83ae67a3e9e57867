"""A DestinationRule's tls, with real servers: whom the proxy trusts and asks for, and who it says it is."""

import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import trustme

from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.provider import Exchange, Provider, respond
from tests.support.proxy import Setting
from tests.support.yaml_mesh import (
    Mesh,
    destination_rule,
    resource,
    running,
    service_entry,
    service_entry_of,
    virtual_service,
)

CUSTOM = "{asm.alibabacloud.com/custom-destinationrule: 'true'}"
REFUSED = (
    b"upstream connect error or disconnect/reset before headers. reset reason: remote connection failure"
)
POLICIES = {
    "simple": "mode: SIMPLE",
    "unknown-ca": "mode: SIMPLE",
    "private-ca": "mode: SIMPLE\n    caCertificates: <ca>",
    "system-ca": "mode: SIMPLE\n    caCertificates: system",
    "other-ca": "mode: SIMPLE\n    caCertificates: <ca>",
    "sni": "mode: SIMPLE\n    sni: somebody.example",
    "other-name": "mode: SIMPLE",
    "alt-name": "mode: SIMPLE\n    subjectAltNames: [unheard.example, other.example]",
    "wrong-alt-name": "mode: SIMPLE\n    subjectAltNames: [unheard.example]",
    "sni-and-alt-name": "mode: SIMPLE\n    sni: somebody.example\n    subjectAltNames: [other.example]",
    "skip-verify": "mode: SIMPLE\n    insecureSkipVerify: true",
    "skip-verify-mutual": """mode: MUTUAL
    insecureSkipVerify: true
    clientCertificate: <certificate>
    privateKey: <key>""",
    "mutual": "mode: MUTUAL\n    clientCertificate: <certificate>\n    privateKey: <key>",
    "one-way": "mode: SIMPLE",
    "disable": "mode: DISABLE",
}
"""By the first label of the host, which is also the provider's name."""

PORTS = """
hosts: [ports.test]
resolution: STATIC
ports:
- {number: 80, name: first, protocol: HTTP, targetPort: <secured>}
- {number: 8080, name: second, protocol: HTTP, targetPort: <plain>}
- {number: 8443, name: third, protocol: HTTPS, targetPort: <secured>}
endpoints:
- address: 127.0.0.1
"""
PORTS_RULE = """
trafficPolicy:
  tls: {mode: SIMPLE}
  portLevelSettings:
  - port: {number: 8080}
    connectionPool: {http: {maxRetries: 5}}
"""
SUBSETS = """
- address: 127.0.0.1
  ports: {http: <subset>}
  labels: {version: v1}
- address: 127.0.0.1
  ports: {http: <plain>}
  labels: {version: v2}
"""
SUBSETS_RULE = """
trafficPolicy:
  tls: {mode: DISABLE}
subsets:
- name: v1
  labels: {version: v1}
  trafficPolicy:
    tls: {mode: SIMPLE, sni: v1.example}
- name: v2
  labels: {version: v2}
"""
ENTRY_WITH_NAMES = """
hosts: [entry-names.test]
resolution: STATIC
subjectAltNames: [other.example]
ports: [{number: 443, name: https, protocol: HTTPS, targetPort: <entry-names>}]
endpoints: [{address: 127.0.0.1}]
"""
PROVIDER = "host: %s.test\nconfigs: {defaultConfig: {openAIConfig: {model: m}}}"


def to_subset(name: str) -> str:
    return f"- route:\n  - destination: {{host: subsets.test, subset: {name}}}\n"


def once(name: str) -> str:
    """Entry, rule and a route without retries."""
    route = f"- retries: {{attempts: 0}}\n  route:\n  - destination: {{host: {name}.test}}\n"
    policy = f"trafficPolicy:\n  tls:\n    {POLICIES[name]}\n"
    return service_entry(name) + destination_rule(name, policy) + virtual_service(name, route)


async def client_name(exchange: Exchange) -> None:
    """Answer with the name in the client's certificate."""
    certificate = exchange._writer.get_extra_info("peercert")
    names = [value for _, value in certificate.get("subjectAltName", ())]
    await respond(200, ",".join(names).encode())(exchange)


def certificates(authority: Authority, private: trustme.CA) -> Mapping[str, ssl.SSLContext | None]:
    """What the servers show; those that are not named show their host's."""
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    private.issue_cert("private-ca.test").configure_cert(own)
    demanding = [authority.issue(f"{name}.test") for name in ("mutual", "one-way", "skip-verify-mutual")]
    for context in demanding:
        context.verify_mode = ssl.CERT_REQUIRED
        private.configure_trust(context)
    mutual, one_way, skip = demanding
    other = {
        name: authority.issue("other.example")
        for name in ("other-name", "alt-name", "wrong-alt-name", "sni-and-alt-name", "entry-names")
    }
    return {
        **other,
        "private-ca": own,
        "unknown-ca": Authority().issue("unknown-ca.test"),
        "skip-verify": Authority().issue("nobody.example"),
        "mutual": mutual,
        "one-way": one_way,
        "skip-verify-mutual": skip,
        "secured": authority.issue("ports.test"),
        "subset": authority.issue("subsets.test"),
        "disable": None,
        "plain": None,
    }


def write_files(folder: Path, private: trustme.CA) -> dict[str, Path]:
    """The authority that only some rules trust, and a certificate of the proxy's own from it."""
    files = {name: folder / f"{name}.pem" for name in ("ca", "certificate", "key")}
    issued = private.issue_cert("sleep.example")
    private.cert_pem.write_to_path(str(files["ca"]))
    issued.cert_chain_pems[0].write_to_path(str(files["certificate"]))
    issued.private_key_pem.write_to_path(str(files["key"]))
    return files


@pytest.fixture(scope="module", name="mesh")
def run(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("tls")
    private = trustme.CA(organization_name="private, for tests only")
    shown = certificates(authority, private)
    contexts = {name: authority.issue(f"{name}.test") for name in POLICIES if name not in shown} | dict(shown)
    providers = {
        name: Provider(client_name if "mutual" in name else respond(200, name.encode()), context)
        for name, context in contexts.items()
    }
    text = "".join(
        [
            *map(once, POLICIES),
            *(
                resource("LLMProvider", name, PROVIDER % name, annotations=CUSTOM)
                for name in ("disable", "simple")
            ),
            resource("ServiceEntry", "ports", PORTS),
            destination_rule("ports", PORTS_RULE),
            service_entry_of("subsets", SUBSETS),
            destination_rule("subsets", SUBSETS_RULE),
            virtual_service("to-v1", to_subset("v1")),
            virtual_service("to-v2", to_subset("v2")),
            resource("ServiceEntry", "entry-names", ENTRY_WITH_NAMES),
        ]
    )
    files = write_files(folder, private)
    with running(background, setting, folder, text, providers, values=files) as mesh:
        yield mesh


@pytest.mark.parametrize(
    ("name", "sni"),
    [
        ("simple", "simple.test"),
        ("private-ca", "private-ca.test"),
        ("system-ca", "system-ca.test"),
        ("sni", "somebody.example"),
        ("alt-name", "alt-name.test"),
        ("sni-and-alt-name", "somebody.example"),
        ("skip-verify", "skip-verify.test"),
    ],
)
def test_a_server_that_is_trusted(mesh: Mesh, name: str, sni: str) -> None:
    """It gets the request, and is asked for by that name."""
    answer = mesh.ask(f"{name}.test")
    assert (answer.status, answer.body) == (200, name.encode())
    assert mesh.providers[name].requests[-1].sni == sni


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("unknown-ca", id="an-authority-that-nobody-trusts"),
        pytest.param("other-ca", id="only-the-rule's-authority-counts"),
        pytest.param("other-name", id="a-certificate-of-somebody-else"),
        pytest.param("wrong-alt-name", id="none-of-subjectAltNames"),
    ],
)
def test_a_server_that_is_not_trusted(mesh: Mesh, name: str) -> None:
    """It sees the handshake and no request; the client gets Envoy's 503."""
    answer = mesh.ask(f"{name}.test")
    assert (answer.status, answer.body) == (503, REFUSED)
    assert (mesh.providers[name].hellos, mesh.providers[name].requests) == (1, [])
    assert mesh.told(f"{name}.test", "503 UF")


@pytest.mark.parametrize("name", ["mutual", "skip-verify-mutual"])
def test_mutual(mesh: Mesh, name: str) -> None:
    """The server asks for a certificate, and gets the one in `clientCertificate`."""
    answer = mesh.ask(f"{name}.test")
    assert (answer.status, answer.body) == (200, b"sleep.example")


def test_simple_where_the_server_wants_mutual(mesh: Mesh) -> None:
    """No request gets through."""
    assert mesh.ask("one-way.test").status == 503
    assert not mesh.providers["one-way"].requests


def test_disable(mesh: Mesh) -> None:
    """Plain text, to a provider that would be called with TLS otherwise."""
    assert mesh.ask("disable.test").body == b"disable"


@pytest.mark.parametrize(
    ("url", "body", "sni"),
    [
        pytest.param("ports.test", b"secured", "ports.test", id="the-rule's"),
        pytest.param("ports.test:8080", b"plain", None, id="a-port's-entry-without-tls"),
        pytest.param("https://ports.test:8443", b"secured", "ports.test", id="the-rule's-again"),
        pytest.param("to-v1.test", b"subset", "v1.example", id="a-subset's"),
        pytest.param("to-v2.test", b"plain", None, id="a-subset-without-policy"),
    ],
)
def test_tls_of_a_port_or_subset(mesh: Mesh, url: str, body: bytes, sni: str | None) -> None:
    """A port's entry replaces the rule's tls, even by none; a subset's own tls stands before the rule's."""
    answer = mesh.ask(url)
    assert (answer.status, answer.body) == (200, body)
    assert mesh.providers[body.decode()].requests[-1].sni == sni


def test_subject_alt_names_of_a_service_entry(mesh: Mesh) -> None:
    """They stand where a DestinationRule names none."""
    assert mesh.ask("https://entry-names.test").body == b"entry-names"
