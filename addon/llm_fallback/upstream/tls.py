"""TLS contexts for targets, few of them: targets that trust the same authorities share one.

Istio sends an explicit `sni` as it is and then checks no name at all. Here the certificate must bear one of
the target's names whatever the SNI says; where the two differ, OpenSSL cannot check it alone, because Python
gives it one name for both, so the check is made with `service_identity` at the end of the handshake. The
names are then found by the SNI, which belongs to the connection and not to the context.
"""

import os
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import certifi
from cryptography import x509
from service_identity import VerificationError
from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address

from llm_fallback.addresses import is_address
from llm_fallback.config.snapshot import Tls

type Names = tuple[str, ...]


class _NamesContext(ssl.SSLContext):
    """A client context whose peers must bear one of the names for the SNI that they are sent."""

    names_by_sni: dict[str, Names]


class _NamesCheckedObject(ssl.SSLObject):
    """A TLS connection that refuses a peer whose certificate bears none of the names for its SNI."""

    def do_handshake(self) -> None:
        super().do_handshake()
        certificate = self.getpeercert(binary_form=True)
        names: Names = ()
        if isinstance(self.context, _NamesContext):
            names = self.context.names_by_sni.get(self.server_hostname or "", ())
        if certificate is None or not _bears_one_of(x509.load_der_x509_certificate(certificate), names):
            raise ssl.SSLCertVerificationError(f"the certificate is not valid for {' or '.join(names)}")


class _FileState(NamedTuple):
    """A file as it was when it was read: one that has changed since makes a new context."""

    path: str
    modified_ns: int
    size: int


class _Basis(NamedTuple):
    """What of a target's TLS is part of a context; with `checks_names` its names are, too."""

    files: tuple[_FileState | None, ...]
    verify: bool
    checks_names: bool


class TlsContexts:
    """The contexts for the targets of the configuration."""

    def __init__(self) -> None:
        self._by_tls: dict[Tls, ssl.SSLContext] = {}
        self._shared: dict[_Basis, list[_NamesContext]] = {}

    def adopt(self, wanted: Iterable[Tls]) -> None:
        """Build the contexts that are missing: one takes a tenth of a second, which no request should pay.

        Files that have changed are read again. Raises OSError or ssl.SSLError if a file cannot be used;
        nothing changes then.
        """
        fresh = TlsContexts()
        for basis, contexts in self._shared.items():
            fresh._shared[basis] = list(contexts)
        used = {id(fresh.context(tls)) for tls in wanted}
        self._by_tls = fresh._by_tls
        shared = {basis: [c for c in contexts if id(c) in used] for basis, contexts in fresh._shared.items()}
        self._shared = {basis: contexts for basis, contexts in shared.items() if contexts}

    def context(self, tls: Tls) -> ssl.SSLContext:
        """The context for a target, which is built if need be.

        Raises OSError or ssl.SSLError if a file cannot be used.
        """
        if (known := self._by_tls.get(tls)) is None:
            known = self._by_tls[tls] = self._find(tls)
        return known

    def _find(self, tls: Tls) -> _NamesContext:
        checks_names = tls.verify and tls.names != (tls.sni,)
        files = (tls.ca_file if tls.verify else None, tls.certificate_file, tls.key_file)
        basis = _Basis(tuple(_state(path) if path else None for path in files), tls.verify, checks_names)
        alike = self._shared.setdefault(basis, [])
        if not checks_names:
            if not alike:
                alike.append(_build(tls))
            return alike[0]
        sni = _as_sent(tls.sni)
        for context in alike:
            if context.names_by_sni.setdefault(sni, tls.names) == tls.names:
                return context
        context = _build(tls)
        context.check_hostname = False
        context.sslobject_class = _NamesCheckedObject
        context.names_by_sni[sni] = tls.names
        alike.append(context)
        return context


def _build(tls: Tls) -> _NamesContext:
    context = _NamesContext(ssl.PROTOCOL_TLS_CLIENT)
    context.names_by_sni = {}
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # Istio's default
    context.set_alpn_protocols(["http/1.1"])
    if tls.certificate_file:
        # A key that wants a passphrase would ask the terminal for it, and wait for ever.
        context.load_cert_chain(tls.certificate_file, tls.key_file, password=lambda: "")
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif tls.ca_file:
        context.load_verify_locations(tls.ca_file)
    else:
        _trust_the_system(context)
    return context


def _state(path: str) -> _FileState:
    stat = Path(path).stat()
    return _FileState(path, stat.st_mtime_ns, stat.st_size)


def _as_sent(sni: str) -> str:
    """The SNI as a connection knows it: aiohttp takes dots off its end, Python makes it ASCII."""
    try:
        return sni.rstrip(".").encode("idna").decode()
    except UnicodeError:
        return sni  # no connection is made with such a name


def _trust_the_system(context: ssl.SSLContext) -> None:
    """The system's authorities, SSL_CERT_FILE and SSL_CERT_DIR included, or else certifi's."""
    paths = ssl.get_default_verify_paths()
    if any(path and Path(path).exists() for path in (paths.cafile, paths.capath)) or os.name == "nt":
        context.load_default_certs()
    else:
        context.load_verify_locations(certifi.where())


def _bears_one_of(certificate: x509.Certificate, names: Names) -> bool:
    return any(_bears(certificate, name) for name in names)


def _bears(certificate: x509.Certificate, name: str) -> bool:
    verify: Any = verify_certificate_ip_address if is_address(name) else verify_certificate_hostname
    try:
        verify(certificate, name)
    except (VerificationError, x509.ExtensionNotFound, ValueError):
        return False
    return True
