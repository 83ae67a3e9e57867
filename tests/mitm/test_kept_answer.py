"""What a flow keeps of an answer, whatever another addon has made of it."""

import gzip
from collections.abc import Callable

import pytest
from mitmproxy import http
from mitmproxy.net import encoding
from mitmproxy.test import tflow
from pydantic import SecretStr

from llm_fallback.echoes import Echoes
from llm_fallback.messages import Outgoing
from llm_fallback.mitm.kept_answer import KeptAnswer
from llm_fallback.mitm.packed_bodies import MAX_DECODED_BYTES
from llm_fallback.upstream.record import Record
from tests.support.secret import inflated

KEY = "sk-of-the-provider"
ECHOES = Echoes([Outgoing("POST", "/v1", (), b"", SecretStr(KEY))])
SAID = f"bad key {KEY}".encode()


def without_packing(response: http.Response) -> None:
    """Says nothing of how the body is packed."""
    del response.headers["content-encoding"]


def with_another(response: http.Response) -> None:
    """Says something else of it."""
    response.headers["content-encoding"] = "br"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("change", [without_packing, with_another])
def test_a_header_that_another_addon_has_changed(
    change: Callable[[http.Response], None], *, stream: bool
) -> None:
    """The body is still packed as it came."""
    body = gzip.compress(SAID)
    record = Record()
    record.add(body, now=0.0)
    flow = tflow.tflow(resp=http.Response.make(200, body, {"content-encoding": "gzip"}))
    assert flow.response
    flow.response.data.content, flow.response.stream = body, stream
    change(flow.response)

    KeptAnswer(record, ECHOES, "gzip").show_in(flow)

    kept = flow.response.data.content or b""
    assert KEY.encode() not in kept + inflated(kept)


def test_a_body_that_another_addon_has_unpacked() -> None:
    """It is there as that one has left it, but for the key."""
    flow = tflow.tflow(resp=http.Response.make(200, SAID, {"content-length": "26"}))
    assert flow.response

    KeptAnswer(Record(), ECHOES, "gzip").show_in(flow)

    assert flow.response.data.content == b"bad key [redacted]"
    assert flow.response.headers["content-length"] == "18"


@pytest.mark.parametrize("packing", ["gzip", "br", "zstd"])
@pytest.mark.parametrize("said", [b"nothing", SAID])
def test_a_large_answer_that_another_addon_has_had_buffered(packing: str, said: bytes) -> None:
    """It is what the client gets: all of it, but for the key."""
    content = b"".join(b'{"index": %d}, ' % n for n in range(400_000)) + said
    assert len(content) > MAX_DECODED_BYTES
    body = encoding.encode(content, packing)
    assert isinstance(body, bytes)
    headers = {"content-encoding": packing}
    flow = tflow.tflow(resp=http.Response.make(200, b"", headers))
    assert flow.response
    flow.response.data.content = body

    KeptAnswer(Record(), ECHOES, packing).show_in(flow)

    assert flow.response.content == content.replace(KEY.encode(), b"[redacted]")
