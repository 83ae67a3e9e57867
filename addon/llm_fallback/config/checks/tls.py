"""Whether connections to hosts can be made, and are as safe as they look."""

import ssl
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path as FilePath

from llm_fallback.config.checks.configuration import Configuration
from llm_fallback.config.documents import Path
from llm_fallback.config.findings import Code, Finding, Severity
from llm_fallback.config.validate import Written
from llm_fallback.resources import DestinationRule
from llm_fallback.resources.destinationrule import ClientTlsSettings, TlsMode

type _Tls = tuple[Written[DestinationRule], Path, ClientTlsSettings]

_CLIENT_FIELDS = {"client_certificate": "clientCertificate", "private_key": "privateKey"}
_TLS_FIELDS = _CLIENT_FIELDS | {
    "ca_certificates": "caCertificates",
    "insecure_skip_verify": "insecureSkipVerify",
    "sni": "sni",
    "subject_alt_names": "subjectAltNames",
}


def authorities_can_be_read(configuration: Configuration) -> Iterator[Finding]:
    """Every `caCertificates` names a file of certificates."""
    read = cache(_authority_problem)
    for written, path, tls in _tls_settings(configuration):
        if tls.ca_certificates and (problem := read(tls.ca_certificates)):
            hint = "name a PEM file, or 'system'"
            yield written.finding((*path, "caCertificates"), problem, hint, Code.UNREADABLE_FILE)


def client_certificates_can_be_read(configuration: Configuration) -> Iterator[Finding]:
    """`clientCertificate` and `privateKey` name PEM files that belong together."""
    read = cache(_client_problem)
    for written, path, tls in _tls_settings(configuration):
        if tls.mode is TlsMode.MUTUAL and tls.client_certificate and tls.private_key:
            field, problem = read(tls.client_certificate, tls.private_key)
            if problem:
                yield written.finding((*path, field), problem, "name a PEM file", Code.UNREADABLE_FILE)


def modes_are_written(configuration: Configuration) -> Iterator[Finding]:
    """A tls block without a mode is one that turns TLS off."""
    for policy in configuration.policies:
        hosts = configuration.hosts_under(policy.policy)
        for path, block in policy.blocks() if hosts else ():
            if block.tls is None or "mode" in block.tls.model_fields_set:
                continue
            consequence, code = "nothing is encrypted", Code.NO_EFFECT
            if any(host in configuration.collection.provider_of for host in hosts):
                consequence = "requests to this provider, with its key, are sent unencrypted"
                code = Code.NO_TLS
            problem = f"has no mode, which is DISABLE: {consequence}"
            yield policy.rule.finding((*path, "tls"), problem, "write mode: SIMPLE", code, Severity.WARNING)


def modes_use_what_is_given(configuration: Configuration) -> Iterator[Finding]:
    """Without TLS nothing of it counts, and only MUTUAL presents a certificate."""
    for written, path, tls in _tls_blocks(configuration):
        unused, hint, severity = _CLIENT_FIELDS, "write mode: MUTUAL", Severity.WARNING
        if tls.mode is TlsMode.MUTUAL or "mode" not in tls.model_fields_set:
            continue
        if tls.mode is TlsMode.DISABLE:
            unused, hint, severity = _TLS_FIELDS, "", Severity.INFO
        for name, alias in unused.items():
            if getattr(tls, name):
                problem = f"has no effect: mode is {tls.mode.value}"
                yield written.finding((*path, alias), problem, hint, Code.NO_EFFECT, severity)


def names_are_checked_alike(configuration: Configuration) -> Iterator[Finding]:
    """With an explicit `sni` and no `subjectAltNames`, Istio checks no name at all; here one is checked."""
    for written, path, tls in _tls_settings(configuration):
        if not tls.sni or tls.subject_alt_names or tls.insecure_skip_verify:
            continue
        problem = "the certificate is checked against the host (the mesh checks no name)"
        hint = "remove it: the host is sent without it too"
        if tls.sni != written.resource.spec.host:
            problem, hint = f"is sent as it is; {problem}", ""
        yield written.finding((*path, "sni"), problem, hint, Code.STRICTER_NAME_CHECK, Severity.INFO)


def keys_travel_encrypted(configuration: Configuration) -> Iterator[Finding]:
    """A rule of one's own that has no tls block would send the provider's key in clear text."""
    for provider in configuration.collection.providers:
        host = provider.resource.spec.host
        if not provider.resource.has_custom_destination_rule or not (rule := configuration.rule_of(host)):
            continue
        stands = configuration.rules.of_host(host)
        for target in configuration.services[host].targets.values():
            if target.tls is None and stands.of(target.port, target.subset).tls is None:
                yield rule.finding(
                    _policy_of_port(rule.resource, target.port),
                    "has no tls: requests to this provider, with its key, are sent unencrypted",
                    "add tls: {mode: SIMPLE}, or mode DISABLE if that is meant",
                    Code.NO_TLS,
                    Severity.WARNING,
                )
                break


def _policy_of_port(rule: DestinationRule, port: int) -> Path:
    policy = rule.spec.traffic_policy
    if policy is None:
        return ("spec",)
    for index, entry in enumerate(policy.port_level_settings):
        if entry.port.number == port:
            return ("spec", "trafficPolicy", "portLevelSettings", index)
    return ("spec", "trafficPolicy")


def _tls_settings(configuration: Configuration) -> Iterator[_Tls]:
    return (block for block in _tls_blocks(configuration) if block[2].mode is not TlsMode.DISABLE)


def _tls_blocks(configuration: Configuration) -> Iterator[_Tls]:
    for policy in configuration.policies:
        if not configuration.hosts_under(policy.policy):
            continue  # nobody connects by it
        for path, block in policy.blocks():
            if block.tls:
                yield policy.rule, (*path, "tls"), block.tls


def _authority_problem(name: str) -> str | None:
    if name == "system":
        return None
    if problem := _file_problem(name):
        return problem
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(name)
    except ssl.SSLError:
        return "the file holds no certificates"
    return None


def _client_problem(certificate: str, key: str) -> tuple[str, str | None]:
    """The field that is wrong, and what is wrong with it."""
    for field, name in (("clientCertificate", certificate), ("privateKey", key)):
        if problem := _file_problem(name):
            return field, problem
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(certificate)
    except ssl.SSLError:
        return "clientCertificate", "the file holds no certificate"
    try:
        # Without a password, OpenSSL would ask the terminal for one.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return "privateKey", "the key does not belong to clientCertificate"
        return "privateKey", "the file holds no private key that can be read without a password"
    return "privateKey", None


def _file_problem(name: str) -> str | None:
    """Why a file cannot be read; what is no regular file might never end."""
    path = FilePath(name)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "it is no regular file"
        path.open("rb").close()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "this is no name of a file"
        return f"the file cannot be read: {reason}"
    return None
