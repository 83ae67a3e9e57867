"""How rules rewrite the path; what providers make of it is in test_rewriting."""

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from llm_fallback.config.routes import Match, MatchType, Rewrite, StringMatch
from llm_fallback.paths import matched_part, rewritten

V1 = Match(uri=StringMatch(MatchType.PREFIX, "/v1"))


def by_regex(pattern: str, substitution: str) -> Rewrite:
    return Rewrite(uri=substitution, pattern=re2.compile(pattern))


@pytest.mark.parametrize(
    ("match", "path", "expected"),
    [
        pytest.param(V1, "/v1/chat", "/v1", id="prefix"),
        pytest.param(
            Match(uri=StringMatch(MatchType.PREFIX, "/V1", ignore_case=True)), "/v1/a", "/v1", id="case"
        ),
        pytest.param(Match(uri=StringMatch(MatchType.EXACT, "/v1/chat")), "/v1/chat", "/v1/chat", id="exact"),
        pytest.param(Match(uri=StringMatch(MatchType.REGEX, "/v.*")), "/v1/chat", "/v1/chat", id="regex"),
        pytest.param(Match(uri=StringMatch(MatchType.PRESENT)), "/v1/chat", "/", id="any-path"),
        pytest.param(Match(), "/v1/chat", "/", id="no-path-asked-for"),
        pytest.param(None, "/v1/chat", "/", id="no-match"),
    ],
)
def test_matched_part(match: Match | None, path: str, expected: str) -> None:
    """A rule that asks for no path is one for the prefix `/`."""
    assert matched_part(match, path) == expected


@pytest.mark.parametrize(
    ("rewrite", "path", "expected"),
    [
        pytest.param(Rewrite(uri="/v2"), "/v1/chat?a=1", "/v2/chat?a=1", id="prefix"),
        pytest.param(Rewrite(uri="/"), "/v1/chat", "//chat", id="as-it-stands"),
        pytest.param(Rewrite(uri="/v2"), "/v1beta", "/v2beta", id="no-segments"),
        pytest.param(Rewrite(uri=""), "/v1/chat", "/v1/chat", id="empty"),
        pytest.param(Rewrite(authority="b.com"), "/v1/chat", "/v1/chat", id="authority-only"),
        pytest.param(Rewrite(uri="v2"), "/v1/chat", "/v2/chat", id="a-slash-is-added"),
        pytest.param(by_regex("^/v1/(.*)$", r"/\1/v1"), "/v1/chat?a=/v1/", "/chat/v1?a=/v1/", id="groups"),
        pytest.param(by_regex("/v(.)/(.)", r"/\2\1\0"), "/v1/chat", "/c1/v1/chat", id="all-of-it-is-group-0"),
        pytest.param(by_regex("a", "b"), "/aXa", "/bXb", id="every-match"),
        pytest.param(by_regex("/x", "/y"), "/v1/chat", "/v1/chat", id="no-match"),
        pytest.param(by_regex("(/v1)|b", r"/z\1"), "/v1/b", "/z/v1//z", id="a-group-that-took-no-part"),
        pytest.param(by_regex("(/v1)", r"\10"), "/v1/b", "/v10/b", id="one-digit"),
        pytest.param(by_regex("/v1", r"/\\1\\"), "/v1", "/\\1\\", id="backslashes"),
        pytest.param(by_regex(".*", "/x"), "/v1/chat", "/x", id="no-empty-match-after-a-match"),
        pytest.param(by_regex("x*", "-"), "/axb", "/-/-a-b-", id="empty-matches"),
        pytest.param(by_regex("/v1", ""), "/v1", "/v1", id="empty-substitution"),
        pytest.param(by_regex("/(.*)", r"\1"), "/", "/", id="nothing-left"),
        pytest.param(by_regex("/(.*)", r"\1"), "/a", "/a", id="a-slash-is-added-to-a-substitution"),
        pytest.param(by_regex("a", "b"), "/a\udce9", "/a\udce9", id="not-utf-8"),
        pytest.param(by_regex("é", "e"), "/café", "/cafe", id="utf-8"),
        pytest.param(by_regex("^/?$", "/x"), "?a=1", "/x?a=1", id="no-path"),
    ],
)
def test_rewritten(rewrite: Rewrite, path: str, expected: str) -> None:
    """The query stays, as RE2 and Envoy do it."""
    assert rewritten(path, rewrite, V1) == expected


paths = st.text("/av1?=#\\", max_size=8).map(lambda rest: f"/v1{rest}")


@given(paths, st.text("/ab@:\\12", max_size=5), st.sampled_from(["/v1", ".*", "a*", "(/)|(a)", ""]))
def test_a_path_never_runs_into_the_host(path: str, uri: str, pattern: str) -> None:
    """Whatever the rule says, with and without a regex; and the query is the client's."""
    for rewrite in (Rewrite(uri=uri), Rewrite(uri=uri.replace("\\", "").replace("2", "1"))):
        changed = rewritten(path, rewrite, V1)
        assert changed.startswith("/")
        assert changed.partition("?")[2] == path.partition("?")[2]

    substituted = rewritten(path, by_regex(pattern, uri.replace("\\", "")), V1)
    assert substituted.startswith("/")
    assert substituted.partition("?")[2] == path.partition("?")[2]
