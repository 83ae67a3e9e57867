"""Effect: mitmproxy's view of requests to LLMs and their answers, as conversations."""

import re
from collections.abc import Callable, Iterator, Mapping

from mitmproxy import contentviews, http
from mitmproxy.contentviews import Contentview, Metadata

from llm_fallback.conversation import (
    Arrivals,
    answer_text,
    is_api_path,
    is_stream,
    may_be_answer,
    may_be_request,
    only_the_beginning,
    request_text,
    stream_text,
)
from llm_fallback.json_values import count
from llm_fallback.mitm import attempt_flows, carriage

NAME = "LLM"
_BEFORE_JSON_AND_GRAPHQL = 3.0
_NOT_OURS = -1.0
_MAX_BYTES = 32 * 1024 * 1024
_MAX_STREAM_BYTES = 4 * 1024 * 1024  # it is read event by event, and mitmweb does nothing else meanwhile
_MAX_SECONDS = 1e9


class LLMContentview(Contentview):
    """Shows the bodies of managed flows, and of any that look alike, as a person reads them.

    It is asked about every body that is displayed: those that look like something else are not parsed.
    """

    def __init__(self) -> None:
        self.users = 0
        """How many want it to be there; without any it is chosen by hand only."""
        self._latest: tuple[bytes, str] | None = None

    @property
    def name(self) -> str:
        """What people choose it by."""
        return NAME

    def render_priority(self, data: bytes, metadata: Metadata) -> float:
        """Before all others where there is a conversation to show, never where there is none."""
        self._latest = None
        if not (self.users and data and _may_be_ours(data, metadata)):
            return _NOT_OURS
        shown = _text(data, metadata)
        if shown is None:
            return _NOT_OURS
        self._latest = (data, shown)  # what is chosen is asked for its text next
        return _BEFORE_JSON_AND_GRAPHQL

    def prettify(self, data: bytes, metadata: Metadata) -> str:
        """The conversation; of what is none, the plain text, with a line that says so."""
        latest, self._latest = self._latest, None
        shown = latest[1] if latest and latest[0] is data else _text(data, metadata)
        if shown is not None:
            return _EMPTY_LINE.sub(" ", shown)
        return f"[neither a request to an LLM nor its answer]\n\n{data.decode(errors='backslashreplace')}"


_EMPTY_LINE = re.compile(r"(?<=\n)(?=\n)")  # mitmweb leaves out those with nothing in them
_VIEW = LLMContentview()
"""The one of this process: mitmproxy has no way to take a view away, so it is never added twice."""


def install() -> Callable[[], None]:
    """Have mitmproxy choose the view by itself; the result undoes it, and leaves it to be chosen by hand."""
    if contentviews.registry.get(NAME) is not _VIEW:
        contentviews.add(_VIEW)
    _VIEW.users += 1
    left = [1]

    def uninstall() -> None:
        if left:
            _VIEW.users -= left.pop()

    return uninstall


def _may_be_ours(data: bytes, metadata: Metadata) -> bool:
    message, flow = metadata.http_message, metadata.flow
    if not isinstance(message, http.Message) or len(data) > _MAX_BYTES:
        return False
    if len(data) > _MAX_STREAM_BYTES and is_stream(data, metadata.content_type or ""):
        return False
    is_llm = _is_managed(metadata) or (isinstance(flow, http.HTTPFlow) and is_api_path(flow.request.path))
    if isinstance(message, http.Request):
        return is_llm or may_be_request(data)
    return is_llm or may_be_answer(data)


def _text(data: bytes, metadata: Metadata) -> str | None:
    message = metadata.http_message
    if isinstance(message, http.Request):
        return request_text(data, message.path)
    left_out = _left_out(_told(metadata))
    if is_stream(data, metadata.content_type or ""):
        return stream_text(data, _arrivals(data, metadata), left_out)
    shown = answer_text(data)
    if shown is None and left_out and _is_managed(metadata) and data[:64].lstrip()[:1] in {b"{", b"["}:
        return f"{only_the_beginning(left_out)}\n\n{data.decode(errors='backslashreplace')}"
    return shown


def _is_managed(metadata: Metadata) -> bool:
    """Whether it is of a managed flow, or of an attempt for one."""
    told = metadata.flow.metadata if metadata.flow else {}
    return carriage.METADATA in told or attempt_flows.METADATA in told


def _told(metadata: Metadata) -> Mapping[str, object]:
    """What the flow tells of its way; it may come from a file, which may hold anything."""
    told = metadata.flow.metadata.get(carriage.METADATA) if metadata.flow else None
    return told if isinstance(told, Mapping) else {}


def _left_out(told: Mapping[str, object]) -> int:
    total, shown = count(told.get("bytes")), count(told.get("shown_bytes"))
    return max(0, total - shown) if total is not None and shown is not None else 0


def _arrivals(data: bytes, metadata: Metadata) -> Arrivals:
    told = _told(metadata)
    first_byte_s = _seconds(told.get("first_byte_s"))
    duration_s = _seconds(told.get("duration_s"))
    if duration_s is None:
        duration_s = _measured_by_mitmproxy(metadata)
    message = metadata.http_message
    if message is not None and message.raw_content != data:
        return Arrivals((), first_byte_s, duration_s)  # pieces are of the body as it came, compressed
    return Arrivals(tuple(_pieces(told.get("arrivals"))), first_byte_s, duration_s)


def _pieces(told: object) -> Iterator[tuple[float, int]]:
    for each in told if isinstance(told, list | tuple) else ():
        if isinstance(each, list | tuple) and len(each) == 2:
            at, total = _seconds(each[0]), count(each[1])
            if at is not None and total is not None:
                yield at, total


def _measured_by_mitmproxy(metadata: Metadata) -> float | None:
    flow = metadata.flow
    if not isinstance(flow, http.HTTPFlow) or flow.response is None:
        return None
    began, ended = flow.request.timestamp_end, flow.response.timestamp_end
    return _seconds(ended - began) if began and ended else None


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < _MAX_SECONDS else None
