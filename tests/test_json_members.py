"""Members are set in a JSON object; every other byte stays."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_fallback.json_members import JsonObject, Value


def set_members(body: bytes, **what: Mapping[str, Value]) -> bytes | None:
    """The changed body alone."""
    read = JsonObject.read(body)
    return read.with_members(**what) if read else None


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        pytest.param('{"model": "x"}', '{"model": "M"}', id="replaced"),
        pytest.param("{}", '{"model": "M"}', id="empty-object"),
        pytest.param(" {\n} \r\n\t", ' {"model": "M"\n} \r\n\t', id="empty-object-with-space"),
        pytest.param('{"a": 1}', '{"model": "M", "a": 1}', id="added-in-front"),
        pytest.param('{\n  "a": 1\n}', '{"model": "M", \n  "a": 1\n}', id="the-space-after-the-brace-stays"),
        pytest.param('{"model":"x","model":"y"}', '{"model":"M","model":"M"}', id="twice-is-set-twice"),
        pytest.param('{"mod\\u0065l":"x"}', '{"mod\\u0065l":"M"}', id="a-name-with-an-escape"),
        pytest.param('{"Model":"x"}', '{"model": "M", "Model":"x"}', id="names-have-a-case"),
        pytest.param('{"a":{"model":"x"}}', '{"model": "M", "a":{"model":"x"}}', id="not-a-nested-one"),
        pytest.param(
            '{"a":"\\"model\\":1"}', '{"model": "M", "a":"\\"model\\":1"}', id="nor-one-in-a-string"
        ),
        pytest.param('{"model" : {"a":[1,{}]} }', '{"model" : "M" }', id="a-value-of-any-type-goes"),
        pytest.param('{"model":null}', '{"model":"M"}', id="null-too"),
        pytest.param(
            '{"t":1.50,"n":12345678901234567890,"e":1E+02,"z":-0.0}',
            '{"model": "M", "t":1.50,"n":12345678901234567890,"e":1E+02,"z":-0.0}',
            id="numbers-keep-their-spelling",
        ),
        pytest.param(
            '{"a":"请\\u8bf7\\/😀\\ud83d"}',
            '{"model": "M", "a":"请\\u8bf7\\/😀\\ud83d"}',
            id="strings-keep-theirs",
        ),
    ],
)
def test_always(body: str, changed: str) -> None:
    """The value is set wherever the member stands, and added where it does not."""
    assert set_members(body.encode(), always={"model": "M"}) == changed.encode()


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        pytest.param("{}", '{"stream": false}', id="absent"),
        pytest.param('{"stream":true}', '{"stream":true}', id="present"),
        pytest.param('{"stream":null}', '{"stream":null}', id="present-as-null"),
        pytest.param('{"s":{"stream":1}}', '{"stream": false, "s":{"stream":1}}', id="present-deeper-only"),
    ],
)
def test_unless_present(body: str, changed: str) -> None:
    """A default counts only where the body does not say."""
    assert set_members(body.encode(), unless_present={"stream": False}) == changed.encode()


@pytest.mark.parametrize(
    ("value", "written"),
    [
        pytest.param('a"b\\c\n', '"a\\"b\\\\c\\n"', id="escapes"),
        pytest.param("模型", '"模型"', id="unicode"),
        pytest.param("m\ud83d", '"m\\ud83d"', id="half-a-character"),
        pytest.param(True, "true", id="true"),
        pytest.param(None, "null", id="null"),
        pytest.param(12, "12", id="integer"),
        pytest.param(0.5, "0.5", id="float"),
    ],
)
def test_values(value: Value, written: str) -> None:
    """As JSON, in UTF-8."""
    assert set_members(b'{"v":0}', always={"v": value}) == f'{{"v":{written}}}'.encode()


def test_always_wins_over_a_default_of_the_same_name() -> None:
    """The member is written once."""
    assert set_members(b"{}", always={"a": 1}, unless_present={"a": 2, "b": 3}) is not None
    assert json.loads(
        set_members(b"{}", always={"a": 1}, unless_present={"a": 2, "b": 3}) or b"",
        object_pairs_hook=sorted,
    ) == [("a", 1), ("b", 3)]


def test_nothing_to_set_changes_nothing() -> None:
    """Not a byte."""
    body = b' { "a" : 1.0 , "a" : [ ] } '

    assert set_members(body) == body


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param('{"model":"请\\u8bf7"}', "请请", id="text"),
        pytest.param('{"请":"请","model":"a"}', "a", id="after-what-takes-more-than-a-byte"),
        pytest.param('{"model":"a","model":"b"}', "b", id="the-last-one-as-most-readers-have-it"),
        pytest.param('{"model":"a","model":1}', None, id="no-text"),
        pytest.param('{"a":"model"}', None, id="not-there"),
    ],
)
def test_the_text_of_a_member(body: str, text: str | None) -> None:
    read = JsonObject.read(body.encode())

    assert read is not None
    assert read.text("model") == text


@pytest.mark.parametrize("count", [10_000, 10_001, 1_000_000])
def test_more_members_than_anybody_writes(count: int) -> None:
    """Each takes time in which nothing else happens: such a body is passed on untouched."""
    body = b"{" + b'"a":1,' * (count - 1) + b'"a":1}'

    assert (set_members(body, always={"a": 2}) is None) is (count > 10_000)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b" \n", id="blank"),
        pytest.param(b"hello", id="text"),
        pytest.param(b"null", id="null"),
        pytest.param(b"12", id="number"),
        pytest.param(b'"{}"', id="string"),
        pytest.param(b"[]", id="array"),
        pytest.param(b'[{"model":"x"}]', id="array-of-objects"),
        pytest.param(b"{", id="cut-after-the-brace"),
        pytest.param(b'{"a"', id="cut-after-a-name"),
        pytest.param(b'{"a":', id="cut-after-the-colon"),
        pytest.param(b'{"a":1', id="cut-after-a-value"),
        pytest.param(b'{"a":1,', id="cut-after-the-comma"),
        pytest.param(b'{"a":"b', id="cut-in-a-string"),
        pytest.param(b'{"a":1,}', id="trailing-comma"),
        pytest.param(b'{,"a":1}', id="leading-comma"),
        pytest.param(b'{"a":1 "b":2}', id="missing-comma"),
        pytest.param(b'{"a" 1}', id="missing-colon"),
        pytest.param(b"{a:1}", id="unquoted-name"),
        pytest.param(b"{'a':1}", id="single-quotes"),
        pytest.param(b"{1:1}", id="number-as-a-name"),
        pytest.param(b'{"a":01}', id="leading-zero"),
        pytest.param(b'{"a":.5}', id="no-digit-before-the-point"),
        pytest.param(b'{"a":"\n"}', id="raw-newline-in-a-string"),
        pytest.param(b'{"a":"\\x"}', id="unknown-escape"),
        pytest.param(b'{"a":tru}', id="cut-literal"),
        pytest.param(b'{"a":1}}', id="one-brace-too-many"),
        pytest.param(b"{}{}", id="two-objects"),
        pytest.param(b"{} x", id="trailing-garbage"),
        pytest.param(b"{}\x00", id="trailing-nul"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte-order-mark"),
        pytest.param("{}".encode("utf-16"), id="utf-16"),
        pytest.param(b'{"a":"\xff"}', id="invalid-utf-8"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', id="a-surrogate-in-utf-8"),
        pytest.param("{\u00a0}".encode(), id="a-space-that-json-does-not-know"),
        pytest.param(b"/* */{}", id="comment"),
        pytest.param(b'{"a":' + b"[" * 100_000, id="100k-open-brackets"),
        pytest.param(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="100k-nested-arrays"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="100k-nested-objects"),
    ],
)
def test_what_is_not_a_json_object(body: bytes) -> None:
    """None: the caller passes it on untouched."""
    assert set_members(body, always={"model": "M"}) is None


@pytest.mark.parametrize(
    "number",
    [
        pytest.param("9" * 100_000, id="an-integer-python-refuses"),
        pytest.param("1e999999", id="above-a-float"),
        pytest.param("-1" + "0" * 5000 + ".5", id="a-long-fraction"),
    ],
)
def test_huge_numbers_stay(number: str) -> None:
    """A number that Python cannot hold is none of our business."""
    body = f'{{"n":{number},"model":{number}}}'

    assert set_members(body.encode(), always={"model": "M"}) == f'{{"n":{number},"model":"M"}}'.encode()


# Objects as a client might write them: each member with the space around it, and how it is spelt.

space = st.text(" \t\r\n", max_size=2)
numbers = st.sampled_from(["0", "-0", "1.50", "1E+5", "12345678901234567890", "-1e-7", "0.1000"])
strings = st.one_of(
    st.text(max_size=6).map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.text(max_size=6).map(json.dumps),
    st.sampled_from(['"\\/"', '"\\u0041"', '"\\ud83d\\ude00"', '"{\\"model\\":1}"', '"}"', '"请"']),
).filter(lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text))
names = st.one_of(
    st.sampled_from(['"model"', '"mod\\u0065l"', '"stream"', '"Model"', '""', '"messages"']), strings
)


def arrays(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda items, gap: "[" + gap + f",{gap}".join(items) + gap + "]", st.lists(values, max_size=3), space
    )


def objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.builds(lambda name, gap, value: f"{name}{gap}:{gap}{value}", names, space, values)
    return st.builds(
        lambda items, gap: "{" + gap + f"{gap},".join(items) + gap + "}", st.lists(pairs, max_size=3), space
    )


values_written = st.recursive(
    st.one_of(numbers, strings, st.sampled_from(["true", "false", "null"])),
    lambda inner: st.one_of(arrays(inner), objects(inner)),
    max_leaves=6,
)
members_written = st.lists(st.tuples(space, names, space, space, values_written, space), max_size=5)


def written(
    members: list[tuple[str, ...]], front: str, inside: str, back: str, put: Mapping[str, str], added: str
) -> str:
    """The object as text, with values put in by name and members added after its brace."""
    text = ",".join(
        f"{a}{name}{b}:{c}{put.get(json.loads(name), value)}{d}" for a, name, b, c, value, d in members
    )
    return f"{front}{{{added}{text or inside}}}{back}"


@settings(max_examples=500)
@given(members_written, space, space, space, st.text(max_size=5).filter(str.isprintable))
def test_every_other_byte_stays(
    members: list[tuple[str, ...]], front: str, inside: str, back: str, model: str
) -> None:
    """Any object however written: the result is that text with values exchanged, and means what it should."""
    body = written(members, front, inside, back, {}, "")
    present = {json.loads(name) for _, name, *_ in members}
    model_text = json.dumps(model, ensure_ascii=False)
    new = [] if "stream" in present else ['"stream": false']
    new += [] if "model" in present else [f'"model": {model_text}']
    added = ", ".join(new) + (", " if new and members else "")

    changed = set_members(body.encode(), always={"model": model}, unless_present={"stream": False})

    assert changed == written(members, front, inside, back, {"model": model_text}, added).encode()
    before, after = json.loads(body), json.loads(changed)
    assert after == {"stream": False} | before | {"model": model}


@settings(max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=40),
        st.text(' {}[]":,\\u0129e-+.truefalsn\n', max_size=40).map(str.encode),
        members_written.map(lambda members: written(members, "", "", "", {}, "").encode()),
    ),
    st.integers(0, 40),
    st.binary(max_size=3),
)
def test_no_bytes_raise(body: bytes, position: int, inserted: bytes) -> None:
    """Garbage, and objects with something put into them: a JSON object comes out, or None."""
    body = body[:position] + inserted + body[position:]

    changed = set_members(body, always={"model": "M"})

    try:
        before = json.loads(body.decode())
    except ValueError:
        before = None
    if isinstance(before, dict):
        assert changed is not None
        assert repr(json.loads(changed)["model"]) == repr("M")
    else:
        assert changed is None
