"""Whether connections to providers can be made, and are as safe as they look."""

import ssl
from collections.abc import Iterator
from pathlib import Path as FilePath

from llm_fallback.config.collection import Collection
from llm_fallback.config.documents import Path
from llm_fallback.config.findings import Finding, Severity
from llm_fallback.resources import DestinationRule
from llm_fallback.resources.destinationrule import NO_POLICY, ClientTlsSettings
from llm_fallback.resources.llmprovider import PROVIDER_PORT


def authorities_can_be_read(collection: Collection) -> Iterator[Finding]:
    """Every `caCertificates` names a file of certificates."""
    for written in collection.destination_rules:
        for path, tls in _tls_settings(written.resource):
            if tls.ca_certificates and (problem := _authority_problem(tls.ca_certificates)):
                yield written.finding(
                    (*path, "caCertificates"), problem, "name a PEM file, or 'system'", "unreadable-file"
                )


def names_are_checked_alike(collection: Collection) -> Iterator[Finding]:
    """With an explicit `sni` and no `subjectAltNames`, Istio checks no name at all; here one is checked."""
    for written in collection.destination_rules:
        for path, tls in _tls_settings(written.resource):
            if tls.sni and tls.sni != written.resource.spec.host and not tls.subject_alt_names:
                yield written.finding(
                    (*path, "sni"),
                    "is sent as it is; the certificate is checked against the host (the mesh checks no name)",
                    "",
                    "stricter-name-check",
                    Severity.INFO,
                )


def keys_travel_encrypted(collection: Collection) -> Iterator[Finding]:
    """A custom rule that lost its tls block would send the provider's key in clear text."""
    for written in collection.destination_rules:
        provider = collection.provider_of.get(written.resource.spec.host)
        if not provider or not provider.resource.has_custom_destination_rule:
            continue
        if written.resource.spec.traffic_policy is None:
            continue
        path, tls = _tls_of_provider_port(written.resource)
        if tls is None:
            yield written.finding(
                path,
                "has no tls: requests to this provider, with its key, are sent unencrypted",
                "add tls: {mode: SIMPLE}, or mode DISABLE if that is meant",
                "no-tls",
                Severity.WARNING,
            )


def _tls_of_provider_port(rule: DestinationRule) -> tuple[Path, ClientTlsSettings | None]:
    """Where the policy of a provider's port stands, and its TLS."""
    policy = rule.spec.traffic_policy or NO_POLICY
    for index, entry in enumerate(policy.port_level_settings):
        if entry.port.number == PROVIDER_PORT:
            return ("spec", "trafficPolicy", "portLevelSettings", index), entry.tls
    return ("spec", "trafficPolicy"), policy.tls


def _tls_settings(rule: DestinationRule) -> Iterator[tuple[Path, ClientTlsSettings]]:
    policy = rule.spec.traffic_policy or NO_POLICY
    if policy.tls:
        yield ("spec", "trafficPolicy", "tls"), policy.tls
    for index, entry in enumerate(policy.port_level_settings):
        if entry.tls:
            yield ("spec", "trafficPolicy", "portLevelSettings", index, "tls"), entry.tls


def _authority_problem(name: str) -> str | None:
    if name == "system":
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(FilePath(name))
    except ssl.SSLError:
        return "the file holds no certificates"
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"
    return None
