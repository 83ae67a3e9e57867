"""What may be a conversation with an LLM, by a look that costs next to nothing."""

import re

_PATHS = ("/chat/completions", "/completions", "/embeddings", "/responses", "/messages")
_LOOKED_AT = 4096
_STREAM = re.compile(rb"\s*(?:data|event|id|retry)?:")
_REQUEST = re.compile(rb'"(?:messages|model|prompt|input)"\s*:')
_ANSWER = re.compile(
    rb'"choices"\s*:|"(?:message_start|response\.created|embedding)"|"object"\s*:\s*"(?:response|list)"'
    rb'|"type"\s*:\s*"message"|event: ?(?:message_start|response\.created)'
)


def is_api_path(path: str) -> bool:
    """Whether a request's path ends as those of the known APIs do."""
    return path.partition("?")[0].rstrip("/").endswith(_PATHS)


def is_stream(body: bytes, media_type: str = "") -> bool:
    """Whether a body is a stream of events, by what it is said to be or else by how it begins."""
    if media_type:
        return media_type == "text/event-stream"
    return _STREAM.match(body.removeprefix(b"\xef\xbb\xbf"), 0, _LOOKED_AT) is not None


def may_be_request(body: bytes) -> bool:
    """Whether a body looks like a request to an LLM, wherever it goes."""
    return _is_object(body) and _REQUEST.search(body, 0, _LOOKED_AT) is not None


def may_be_answer(body: bytes) -> bool:
    """Whether a body looks like an answer of an LLM, wherever it comes from; errors look like anybody's."""
    return _ANSWER.search(body, 0, _LOOKED_AT) is not None


def _is_object(body: bytes) -> bool:
    return body[:64].lstrip()[:1] == b"{"
