"""The authorities that a client of the proxy trusts: those it had before, and mitmproxy's."""

import re
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path

import certifi

VARIABLES = (
    "SSL_CERT_FILE",  # OpenSSL: Python, httpx, the openai SDK, Ruby, Go on Linux, Rust
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
    "DENO_CERT",
    "GIT_SSL_CAINFO",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "PIP_CERT",
)
"""What clients read the name of a file with authorities from."""

_OF_SYSTEMS = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS
)
_CERTIFICATE = re.compile(
    rb"-----BEGIN (?P<kind>(?:TRUSTED |X509 )?CERTIFICATE)-----"
    rb"(?P<base64>[A-Za-z0-9+/=\s]+)"
    rb"-----END (?P=kind)-----"
)


class UnreadableError(Exception):
    """A file of authorities cannot be read, in a sentence."""


def bundle(environment: Mapping[str, str], authority: Path) -> bytes:
    """A PEM file: the authority, and all that any client in this environment would trust without it.

    Those are the files that the variables name, the system's and certifi's. A client that is told of a bundle
    forgets its own, and not every request goes through the proxy or is read by it. Nothing but certificates
    is copied. Raises UnreadableError.
    """
    named = [_read_named(name, environment[name]) for name in VARIABLES if environment.get(name)]
    return _joined([_read(authority), *named, *_of_this_system(), _read(Path(certifi.where()))])


def _of_this_system() -> Iterable[bytes]:
    for place in (ssl.get_default_verify_paths().openssl_cafile, *_OF_SYSTEMS):
        try:
            yield Path(place).read_bytes()
        except OSError:
            continue
        return


def _read_named(variable: str, place: str) -> bytes:
    path = Path(place)
    if path.is_dir():  # requests and curl take a folder
        return b"".join(_read(file) for file in sorted(path.iterdir()) if file.is_file())
    try:
        return _read(path)
    except UnreadableError as error:
        raise UnreadableError(f"{variable}: {error}") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read ({error.strerror})") from None


def _joined(files: Iterable[bytes]) -> bytes:
    """Each certificate once, in the order of the files."""
    found = {
        b"".join(certificate["base64"].split()): certificate[0]
        for file in files
        for certificate in _CERTIFICATE.finditer(file)
    }
    return b"".join(certificate + b"\n" for certificate in found.values())
