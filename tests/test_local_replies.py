"""Envoy's own answers, byte for byte."""

import pytest

from llm_fallback.local_replies import (
    BAD_REQUEST,
    INTERNAL_ERROR,
    NO_HEALTHY_UPSTREAM,
    NO_ROUTE,
    NO_SUCH_TARGET,
    REQUEST_TIMEOUT,
    Flag,
    LocalReply,
    failed,
)
from llm_fallback.retry import Failure

PREFIX = "upstream connect error or disconnect/reset before headers. "


def test_no_healthy_upstream() -> None:
    """The tutorial's first answer: 19 bytes and no newline."""
    assert LocalReply(503, "no healthy upstream", (Flag("UH"),)) == NO_HEALTHY_UPSTREAM
    assert len(NO_HEALTHY_UPSTREAM.body.encode()) == 19


@pytest.mark.parametrize(
    ("reply", "status", "body", "flag"),
    [
        pytest.param(NO_SUCH_TARGET, 503, "", "NC", id="unknown-cluster"),
        pytest.param(NO_ROUTE, 404, "", "NR", id="no-route"),
        pytest.param(REQUEST_TIMEOUT, 504, "upstream request timeout", "UT", id="timeout"),
        pytest.param(BAD_REQUEST, 400, "", "DPE", id="bad-request"),
    ],
)
def test_other_replies(reply: LocalReply, status: int, body: str, flag: str) -> None:
    """Status, text and flag."""
    assert (reply.status, reply.body, reply.flags, reply.headers) == (status, body, (Flag(flag),), ())


def test_internal_error() -> None:
    """Failing closed, which Envoy has no flag for; it says nothing of the request."""
    assert (INTERNAL_ERROR.status, INTERNAL_ERROR.flags) == (500, ())
    assert INTERNAL_ERROR.body == "llm-fallback failed to handle this request; its log says why"


@pytest.mark.parametrize(
    ("failure", "reply"),
    [
        pytest.param(
            Failure.CONNECT_FAILURE,
            LocalReply(503, PREFIX + "reset reason: remote connection failure", (Flag("UF"),)),
            id="refused",
        ),
        pytest.param(
            Failure.CONNECT_TIMEOUT,
            LocalReply(503, PREFIX + "reset reason: connection timeout", (Flag("UF"),)),
            id="connect-timeout",
        ),
        pytest.param(
            Failure.RESET,
            LocalReply(503, PREFIX + "reset reason: connection termination", (Flag("UC"),)),
            id="reset",
        ),
        pytest.param(
            Failure.PROTOCOL_ERROR,
            LocalReply(502, PREFIX + "reset reason: protocol error", (Flag("UPE"),)),
            id="garbage",
        ),
        pytest.param(
            Failure.OVERFLOW,
            LocalReply(
                503, PREFIX + "reset reason: overflow", (Flag("UO"),), (("x-envoy-overloaded", "true"),)
            ),
            id="overflow",
        ),
        pytest.param(Failure.TIMEOUT, REQUEST_TIMEOUT, id="timeout"),
        pytest.param(Failure.TIMEOUT_CONNECTING, REQUEST_TIMEOUT, id="timeout-while-connecting"),
    ],
)
def test_failed(failure: Failure, reply: LocalReply) -> None:
    """Status, text, flag and headers of the first and only attempt."""
    assert failed(failure, retries_done=0) == reply


def test_failed_after_retries() -> None:
    """The text says that it was tried again; a timeout's does not."""
    text = PREFIX + "retried and the latest reset reason: connection termination"

    assert failed(Failure.RESET, retries_done=1) == LocalReply(503, text, (Flag("UC"),))
    assert failed(Failure.TIMEOUT, retries_done=1) == REQUEST_TIMEOUT
