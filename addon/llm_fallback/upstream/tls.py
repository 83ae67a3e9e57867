"""TLS contexts for targets.

Istio sends an explicit `sni` as it is and then checks no name at all. Here the certificate must bear one of
the target's names whatever the SNI says; where the two differ, OpenSSL cannot check it alone, because Python
gives it one name for both, so the check is made with `service_identity` at the end of the handshake.
"""

import ipaddress
import os
import ssl
from pathlib import Path
from typing import Any

import certifi
from cryptography import x509
from service_identity import VerificationError
from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address

from llm_fallback.config.snapshot import Tls


class _NamesContext(ssl.SSLContext):
    """A client context whose peers must bear one of `names`."""

    names: tuple[str, ...] = ()


class _NamesCheckedObject(ssl.SSLObject):
    """A TLS connection that refuses a peer whose certificate bears none of its context's names."""

    def do_handshake(self) -> None:
        super().do_handshake()
        certificate = self.getpeercert(binary_form=True)
        names = self.context.names if isinstance(self.context, _NamesContext) else ()
        if certificate is None or not _bears_one_of(x509.load_der_x509_certificate(certificate), names):
            raise ssl.SSLCertVerificationError(f"the certificate is not valid for {' or '.join(names)}")


def client_context(tls: Tls) -> ssl.SSLContext:
    """A context for connections to a target.

    Raises OSError or ssl.SSLError if the target's authorities cannot be read.
    """
    context = _NamesContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # Istio's default
    context.set_alpn_protocols(["http/1.1"])
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if tls.ca_file:
        context.load_verify_locations(tls.ca_file)
    else:
        _trust_the_system(context)
    if tls.names != (tls.sni,):
        context.check_hostname = False
        context.names = tls.names
        context.sslobject_class = _NamesCheckedObject
    return context


def _trust_the_system(context: ssl.SSLContext) -> None:
    """The system's authorities, SSL_CERT_FILE and SSL_CERT_DIR included, or else certifi's."""
    paths = ssl.get_default_verify_paths()
    if any(path and Path(path).exists() for path in (paths.cafile, paths.capath)) or os.name == "nt":
        context.load_default_certs()
    else:
        context.load_verify_locations(certifi.where())


def _bears_one_of(certificate: x509.Certificate, names: tuple[str, ...]) -> bool:
    return any(_bears(certificate, name) for name in names)


def _bears(certificate: x509.Certificate, name: str) -> bool:
    verify: Any = verify_certificate_ip_address if _is_ip(name) else verify_certificate_hostname
    try:
        verify(certificate, name)
    except (VerificationError, x509.ExtensionNotFound, ValueError):
        return False
    return True


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
