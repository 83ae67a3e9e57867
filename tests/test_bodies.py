"""The bodies of one request: read once, made once each, and never far larger than what the client sent."""

import gzip
import random

import pytest

from llm_fallback.bodies import Bodies
from llm_fallback.config.snapshot import ProviderConfig
from llm_fallback.messages import OriginalRequest

MIB = 1024 * 1024
MODEL = ProviderConfig("qwen-72b")


def bodies(body: bytes, encoding: str = "identity") -> Bodies:
    headers = (("Content-Encoding", encoding),)
    return Bodies(OriginalRequest("POST", "a.com", 80, "/", headers, body))


def json_of(size: int, ratio: int) -> bytes:
    """A body that becomes about so much smaller when it is compressed."""
    noise = random.Random(1).randbytes(size // ratio // 2).hex().encode()
    return b'{"a":"' + noise + b"x" * (size - len(noise) - 8) + b'"}'


@pytest.mark.parametrize(
    ("plain", "is_read"),
    [
        pytest.param(json_of(8 * MIB - 1, 20), True, id="8-MiB"),
        pytest.param(json_of(8 * MIB + 1, 20), False, id="more-than-that"),
        pytest.param(json_of(MIB, 60), True, id="60-times-as-large"),
        pytest.param(json_of(MIB, 400), False, id="400-times-as-large"),
        pytest.param(json_of(60_000, 5000), True, id="short-of-one-letter"),
        pytest.param(b'{"a":[' + b"1," * 4 * MIB + b"1]}", False, id="all-commas"),
    ],
)
@pytest.mark.parametrize("level", [1, 9])
def test_what_a_client_compressed(plain: bytes, level: int, *, is_read: bool) -> None:
    """A few bytes are not made into many: who sends them has the body passed on as it is."""
    compressed = gzip.compress(plain, level)

    edited = bodies(compressed, "gzip").edited(MODEL)

    assert (edited is not None) is is_read
    assert edited is None or edited == b'{"model": "qwen-72b", ' + plain[1:]


def test_what_is_not_compressed_may_be_large() -> None:
    """An image or two in a message."""
    plain = json_of(20 * MIB, 2)

    edited = bodies(plain).edited(MODEL)

    assert edited is not None
    assert edited == b'{"model": "qwen-72b", ' + plain[1:]


def test_each_edition_is_made_once() -> None:
    """However many attempts it is sent with; another model or default is another edition."""
    several = bodies(b'{"a":1}')
    streamed = ProviderConfig("qwen-72b", stream=True)

    made = [several.edited(each) for each in (MODEL, streamed, MODEL, streamed)]

    assert made[0] is made[2]
    assert made[1] is made[3]
    assert [each for each in made[:2] if each] == [
        b'{"model": "qwen-72b", "a":1}',
        b'{"stream": true, "model": "qwen-72b", "a":1}',
    ]


def test_nothing_to_set() -> None:
    """It is sent as it is, and not even read."""
    assert bodies(b'{"a":1}').edited(ProviderConfig()) is None


@pytest.mark.parametrize(
    ("body", "encoding", "model"),
    [
        pytest.param(b'{"model":"gpt-4o"}', "identity", "gpt-4o", id="told"),
        pytest.param(gzip.compress(b'{"model":"gpt-4o"}'), "gzip", "gpt-4o", id="compressed"),
        pytest.param(b'{"model":1}', "identity", None, id="no-text"),
        pytest.param(b"--part", "identity", None, id="no-json"),
        pytest.param(
            b'{"model":"gpt-4o","a":"' + b"x" * 2 * MIB + b'"}', "identity", None, id="long-to-read"
        ),
    ],
)
def test_the_model_that_a_client_asks_for(body: bytes, encoding: str, model: str | None) -> None:
    """As far as that is quick to find out."""
    assert bodies(body, encoding).model == model


def test_the_model_of_what_has_been_read() -> None:
    """It costs no more, however long it is."""
    several = bodies(b'{"model":"gpt-4o","a":"' + b"x" * 2 * MIB + b'"}')
    several.edited(MODEL)

    assert several.model == "gpt-4o"
