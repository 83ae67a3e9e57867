"""Answers that repeat a credential: clients get them as they are, what is kept of them is without it. Pure.

A credential is found as it was sent, in the escapes of JSON and of URLs, and where a base64 text begins with
it. It is not found where it is taken apart, or packed into something else.
"""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from itertools import islice
from urllib.parse import unquote

from llm_fallback.messages import Outgoing
from llm_fallback.redaction import REDACTED, is_credential, may_have_query, name_and_value, query_credentials
from llm_fallback.resources.base import Expanded

_REDACTED = REDACTED.encode()
_MIN_BYTES = 8  # what is shorter is in many a word, and in nobody's way who wants to guess it
_MAX_SECRETS = 100  # a search for so many takes tenths of a second, in which nothing else happens
_IN_A_NAME = b"redacted"
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_WORD = re.compile(rb"[A-Za-z0-9]+")
_PART = re.compile(r"[\s;,]+")
# Which bytes are escaped, and how, differs: some escape a few marks only, some all of them.
_MARKS = tuple(map(re.compile, (rb"[^A-Za-z0-9]", rb"[^A-Za-z0-9._~-]", rb"[^A-Za-z0-9._~/-]")))
_ESCAPES = b"\\u%04x", b"\\u%04X", b"%%%02x", b"%%%02X"

type Field = tuple[bytes, bytes]
type Fields = tuple[Field, ...]


class Echoes:
    """The credentials that were sent for one request, to whom it was sent: nobody else can repeat them."""

    def __init__(self, sent: Iterable[Outgoing]) -> None:
        found = (each.encode("utf-8", "surrogateescape") for outgoing in sent for each in _secrets(outgoing))
        secrets = dict.fromkeys(each for each in found if len(each) >= _MIN_BYTES)
        self._are_too_many = len(secrets) > _MAX_SECRETS
        self._anchors, self._forms = _sought(frozenset(islice(secrets, _MAX_SECRETS)))

    @property
    def are_none(self) -> bool:
        """Whether there is nothing that could be repeated."""
        return not self._forms

    def without(self, content: bytes) -> bytes:
        """The content with a placeholder for each; for all of it, where they are too many to look for."""
        if self._are_too_many:
            return _REDACTED if content else content
        return self._search(content)

    def _search(self, content: bytes) -> bytes:
        if not self._occur_in(content):
            return content
        for form in self._forms:
            if form in content:
                content = content.replace(form, _REDACTED)
        return content

    def cut_out(self, content: bytes) -> bytes:
        """The same of content that may end anywhere: less the beginning of one at its end, too."""
        content = self.without(content)
        for form in self._forms:
            start = max(0, len(content) - len(form) + 1)
            while (start := content.find(form[:_MIN_BYTES], start)) >= 0:
                if form.startswith(content[start:]):
                    content = content[:start]
                    break
                start += 1
        return content

    def fields(self, fields: Fields) -> Fields:
        """Headers without them, in names and values; the very same headers if there are none in them.

        They are still headers, of a body as long as it is: mitmproxy passes on nothing that is ill-formed.
        """
        together = b"\n".join(part for field in fields for part in field)
        if not self._are_too_many and not self._occur_in(together):
            return fields
        return tuple(
            field if field[0].lower() in _FRAMING else (self._name(field[0]), self.without(field[1]))
            for field in fields
        )

    def _name(self, name: bytes) -> bytes:
        return self._search(name).replace(_REDACTED, _IN_A_NAME)

    def _occur_in(self, content: bytes) -> bool:
        """Whether one may be in the content; if not, none is."""
        return any(anchor in content for anchor in self._anchors)


def _secrets(outgoing: Outgoing) -> Iterator[str]:
    if outgoing.api_key:
        yield outgoing.api_key.get_secret_value()
    for name, value in outgoing.headers:
        if isinstance(value, Expanded) or is_credential(name):
            yield value
            for part in _PART.split(value):  # the key after its scheme; each of the cookies
                yield part
                yield part.partition("=")[2]
        elif may_have_query(value):
            yield from _in_query(value)
    if may_have_query(outgoing.path):
        yield from _in_query(outgoing.path)
    if isinstance(outgoing.path, Expanded):
        yield outgoing.path.partition("?")[0]


def _in_query(path: str) -> Iterator[str]:
    for pair in query_credentials(path):
        _, value = name_and_value(pair)
        yield value
        yield unquote(value)


# The same few are sent again and again, and to find their forms takes longer than to look for them.
@lru_cache(maxsize=256)
def _sought(secrets: frozenset[bytes]) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """What to look for first, and if that is found: the longest before others that may be a part of it."""
    packed = {form for secret in secrets for form in _in_base64(secret) if len(form) >= _MIN_BYTES}
    written = {form for secret in secrets for form in _forms(secret) if len(form) >= _MIN_BYTES}
    # Only marks are escaped: what is between them is in every form.
    anchors = {max(_WORD.findall(secret), key=len, default=b"") for secret in secrets}
    return (*anchors, *packed), tuple(sorted(written | packed, key=len, reverse=True))


def _in_base64(secret: bytes) -> Iterator[bytes]:
    """What is not shared with what follows."""
    for text in (secret, b"Bearer " + secret):
        whole = text[: len(text) // 3 * 3]
        yield b64encode(whole)
        yield urlsafe_b64encode(whole)


def _forms(secret: bytes) -> Iterator[bytes]:
    """The ways in which an answer may write it."""
    yield secret
    if secret.isalnum():
        return  # there is nothing in it to be escaped
    as_json = json.dumps(secret.decode(errors="replace"))[1:-1].encode()
    yield as_json
    yield as_json.replace(b"/", rb"\/")
    for marks in _MARKS:
        for escape in _ESCAPES:
            yield marks.sub(partial(_escaped, escape), secret)


def _escaped(escape: bytes, mark: re.Match[bytes]) -> bytes:
    return escape % mark[0][0]
