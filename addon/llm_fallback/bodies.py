"""The bodies of one request: the client's, with the model and the default for `stream` of a provider. Pure.

Whoever sends it several times reads it once: in the time that a large body takes, nothing else happens.
"""

import zlib
from functools import cached_property

from llm_fallback.config.snapshot import ProviderConfig
from llm_fallback.json_members import JsonObject, Value
from llm_fallback.messages import OriginalRequest

MAX_RATIO = 100
"""Of what is decoded to what is compressed: JSON has 5 to 20, a bomb 1000."""

_ZLIB_WINDOW = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
_MAX_DECODED_BYTES = 8 * 1024 * 1024
_MAX_READ_FOR_MODEL_BYTES = 2 * 1024 * 1024  # the answer's end waits for it
_ANY_RATIO_BYTES = 64 * 1024  # so little is no harm, and a short body of one word may well have that


class Bodies:
    """Reads the request's body when it is first asked for, and makes each edition of it once."""

    def __init__(self, request: OriginalRequest) -> None:
        self._request = request
        self._editions: dict[tuple[str | None, bool | None], bytes | None] = {}

    @property
    def model(self) -> str | None:
        """The model that the client asks for; None where that is not told, or would take long to find out."""
        is_read = bool(self._editions)
        if not is_read and len(self._request.body) > _MAX_READ_FOR_MODEL_BYTES:
            return None
        return self._read.text("model") if self._read else None

    def edited(self, config: ProviderConfig) -> bytes | None:
        """The body with the model, and the default for `stream`; None where it is to be sent as it is.

        One that was compressed is not any more.
        """
        wanted = config.model, config.stream
        if wanted == (None, None) or not self._request.body:
            return None
        if wanted not in self._editions:
            self._editions[wanted] = self._edit(config)
        return self._editions[wanted]

    def _edit(self, config: ProviderConfig) -> bytes | None:
        always: dict[str, Value] = {} if config.model is None else {"model": config.model}
        default: dict[str, Value] = {} if config.stream is None else {"stream": config.stream}
        return self._read.with_members(always=always, unless_present=default) if self._read else None

    @cached_property
    def _read(self) -> JsonObject | None:
        headers, body = self._request.headers, self._request.body
        encoding = next((v for n, v in headers if n.lower() == "content-encoding"), "identity")
        plain = _decode(body, encoding.strip().lower())
        return JsonObject.read(plain) if plain is not None else None


def _decode(body: bytes, encoding: str) -> bytes | None:
    """The plain body; None for what is not undone here, is not what it says, or would be far larger."""
    if encoding == "identity":
        return body
    if encoding not in _ZLIB_WINDOW:
        return None
    decoder = zlib.decompressobj(_ZLIB_WINDOW[encoding])
    limit = min(_MAX_DECODED_BYTES, max(_ANY_RATIO_BYTES, MAX_RATIO * len(body)))
    try:
        plain = decoder.decompress(body, limit)
    except zlib.error:
        return None
    return plain if decoder.eof and not decoder.unused_data else None
