"""What paths become before a rule sees them; each row was seen on Envoy with `normalize_path`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_fallback.paths import normalised


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/x/../ok", "/ok"),
        ("/./ok/a/./b", "/ok/a/b"),
        ("/ok/%2e%2e/secret", "/secret"),
        ("/a/..", "/"),
        ("/a/b/.", "/a/b/"),
        ("/../..", "/"),
        ("/%6fk", "/ok"),
        ("/%7e%41", "/~A"),
        ("/a\\b", "/a/b"),
        ("//ok", "//ok"),
        ("/a%2Fb%5cc%c3", "/a%2Fb%5cc%c3"),
        ("/a|b^c", "/a%7Cb%5Ec"),
        ('/`{}"<>', "/%60%7B%7D%22%3C%3E"),
        ("/a?x=/../%41|", "/a?x=/../%41|"),
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("*", "*"),
        ("", ""),
    ],
)
def test_normalised(path: str, expected: str) -> None:
    assert normalised(path) == expected


@given(st.text(alphabet="/.%2eEfFaA\\|?", max_size=20))
def test_a_normal_path_stays(path: str) -> None:
    """And none of its segments leads upwards."""
    once = normalised(f"/{path}")

    assert normalised(once) == once or "%" in path
    assert not {".", ".."} & set(once.partition("?")[0].split("/"))
