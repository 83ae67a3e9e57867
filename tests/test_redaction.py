"""What is a credential, and what is shown of it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_fallback.redaction import (
    REDACTED,
    drop_query_credentials,
    is_credential,
    query_credentials,
    redact_header,
    redact_query,
    redact_value,
    restore_query,
)
from llm_fallback.resources.base import Expanded


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "authorization",
        "Proxy-Authorization",
        "X-Forwarded-Authorization",
        "Cookie",
        "api-key",
        "x-api-key",
        "X-API-KEY",
        "apikey",
        "apiKey",
        "api_key",
        "x-goog-api-key",
        "Ocp-Apim-Subscription-Key",
        "x-functions-key",
        "key",
        "token",
        "access_token",
        "accessToken",
        "authToken",
        "refreshToken",
        "X-Auth-Token",
        "PRIVATE-TOKEN",
        "X-Amz-Security-Token",
        "X-Amz-Credential",
        "client_secret",
        "clientSecret",
        "accessKey",
        "secretKey",
        "password",
        "api%5Fkey",
        "k%65y",
        "access%2Dtoken",
        "X-Goog-IAP-JWT-Assertion",
        "Sec-WebSocket-Protocol",
        "X-AppKey",
        "x-appkey",
        "X-SubscriptionKey",
        "x-subscriptionkey",
        "appkey",
        "authkey",
        "X-Keys",
        "key1",
        "keyId",
        "code",
        "x-functions-code",
        "auth_code",
        "X-Bearer",
        "X-Session-Id",
        "PHPSESSID",
        "JSESSIONID",
        "session",
        "x-sid",
        "X-Pass",
        "pass",
        "passphrase",
        "X-HMAC",
        "X-Otp",
        "X-PIN",
        "X-CSRF",
        "XSRF-TOKEN",
        "X-Forwarded-Client-Cert",
        "X-Ssl-Client-Cert",
        "X-ARR-ClientCert",
        "ak",
        "sk",
        "X-AK",
        "X-SK",
        "AWSAccessKeyId",
        "X-Amz-Signature",
        "sig",
        "userpwd",
        "SAMLResponse",
        "X-Authenticated-By",
        "X-OAuth",
    ],
)
def test_credentials(name: str) -> None:
    """Names under which clients and providers carry secrets, in any case and spelling."""
    assert is_credential(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Content-Type",
        "Accept",
        "User-Agent",
        "Idempotency-Key",
        "Sec-WebSocket-Key",
        "max_tokens",
        "x-request-id",
        "traceparent",
        "OpenAI-Organization",
        "X-DashScope-SSE",
        "anthropic-version",
        "api-version",
        "author",
        "keyboard",
        "monkey",
        "turkeys",
        "keep-alive",
        "tokens",
        "max_completion_tokens",
        "maxTokens",
        "x-ratelimit-remaining-tokens",
        "tokenizer",
        "X-Idempotency-Key",
        "page_size",
        "keywords",
        "Content-Encoding",
        "Content-Length",
        "Content-Disposition",
        "Accept-Encoding",
        "Accept-Language",
        "x-stainless-arch",
        "x-stainless-retry-count",
        "OpenAI-Beta",
        "OpenAI-Project",
        "anthropic-beta",
        "anthropic-dangerous-direct-browser-access",
        "Cache-Control",
        "encoding",
        "country-code",
        "country_code",
        "status-code",
        "zip_code",
        "codec",
        "barcode",
        "X-Authority",
        "authors",
        "WWW-Authenticate",
        "x-task",
        "ask",
        "pinned",
        "shipping",
        "mapping",
        "bypass",
        "passenger",
        "residence",
        "certain",
        "concert",
        "design",
        "config",
        "secondary",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "Origin",
        "Referer",
        "Range",
        "If-None-Match",
    ],
)
def test_no_credentials(name: str) -> None:
    """Names that merely look alike, or say key and mean no secret."""
    assert not is_credential(name)


words = st.sampled_from(
    [
        "app",
        "key",
        "api",
        "x",
        "max",
        "token",
        "tokens",
        "pass",
        "session",
        "mon",
        "code",
        "author",
        "ak",
        "Id",
    ]
)


@given(st.lists(st.tuples(words, st.sampled_from(["", "-", "_", "."]))), st.data())
def test_capitals_say_nothing(parts: list[tuple[str, str]], data: st.DataObject) -> None:
    """HTTP/2 has none, and the same header should not be a secret over one and none over the other."""
    name = "".join(word + separator for word, separator in parts)
    capitals = data.draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name)))
    other = "".join(c.upper() if is_upper else c.lower() for c, is_upper in zip(name, capitals, strict=True))

    assert is_credential(other) is is_credential(name)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        pytest.param("Authorization", "Bearer sk-1", "Bearer [redacted]", id="scheme-stays"),
        pytest.param("authorization", "Basic dXNlcg==", "Basic [redacted]", id="basic"),
        pytest.param("Proxy-Authorization", "Basic dXNlcg==", "Basic [redacted]", id="proxy"),
        pytest.param("Authorization", "bearer a b c", "bearer [redacted]", id="all-after-the-scheme-goes"),
        pytest.param("Authorization", "sk-1", "[redacted]", id="no-scheme"),
        pytest.param("Authorization", "secret", "[redacted]", id="one-word-is-no-scheme"),
        pytest.param("Authorization", "sk-1 sk-2", "[redacted]", id="no-scheme-has-a-hyphen"),
        pytest.param("Authorization", "", "[redacted]", id="empty"),
        pytest.param("Cookie", "a=1; b=2", "[redacted]", id="cookie"),
        pytest.param("X-Api-Key", "correct horse battery", "[redacted]", id="words-of-a-key-are-no-scheme"),
    ],
)
def test_redact_header(name: str, value: str, shown: str) -> None:
    """The scheme helps and is no secret; everything else is."""
    assert redact_header(name, value) == shown


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        pytest.param("X-Tenant", "acme", "acme", id="plain"),
        pytest.param("X-Tenant", Expanded("acme"), "[redacted]", id="from-a-variable"),
        pytest.param("Authorization", Expanded("Bearer s"), "Bearer [redacted]", id="with-a-scheme"),
        pytest.param("X-Api-Key", "s", "[redacted]", id="by-its-name"),
        pytest.param("Referer", "http://a/?key=s&b=1", "http://a/?key=[redacted]&b=1", id="in-a-query"),
        pytest.param(
            "Referer",
            "https://h/#access_token=s&b=1",
            "https://h/#access_token=[redacted]&b=1",
            id="in-a-fragment",
        ),
    ],
)
def test_redact_value(name: str, value: str, shown: str) -> None:
    """What came from a variable is shown no more than what is a credential by its name."""
    assert redact_value(name, value) == shown


@pytest.mark.parametrize(
    ("path", "shown", "dropped"),
    [
        pytest.param("/a", "/a", "/a", id="no-query"),
        pytest.param("/a?", "/a?", "/a?", id="empty-query"),
        pytest.param("/a?b=1&c", "/a?b=1&c", "/a?b=1&c", id="nothing-secret"),
        pytest.param("/a?key=s", "/a?key=[redacted]", "/a", id="only-a-secret"),
        pytest.param("/a?b=1&key=s&c=2", "/a?b=1&key=[redacted]&c=2", "/a?b=1&c=2", id="between"),
        pytest.param("/a?key=s&key=t", "/a?key=[redacted]&key=[redacted]", "/a", id="twice"),
        pytest.param("/a?key=s=t?u", "/a?key=[redacted]", "/a", id="equals-and-question-marks-in-it"),
        pytest.param("/a?api%5Fkey=s&b=1", "/a?api%5Fkey=[redacted]&b=1", "/a?b=1", id="percent-encoded"),
        pytest.param("/a?&&b=1", "/a?&&b=1", "/a?&&b=1", id="odd-but-not-secret-stays-as-it-is"),
        pytest.param("/key=s?b=1", "/key=s?b=1", "/key=s?b=1", id="a-path-is-no-query"),
        pytest.param("/a?b=1;key=s&c=2", "/a?b=1;key=[redacted]&c=2", "/a?b=1&c=2", id="semicolon"),
        pytest.param("/a?key=s;t=u&b=1", "/a?key=[redacted]&b=1", "/a?b=1", id="semicolon-in-the-secret"),
        pytest.param("/a?b=1;c=2#d", "/a?b=1;c=2#d", "/a?b=1;c=2#d", id="semicolon-and-nothing-secret"),
        pytest.param("/a?b=1#c?key=s", "/a?b=1#c?key=[redacted]", "/a?b=1#c", id="fragment"),
        pytest.param("/a#key=s", "/a#key=[redacted]", "/a", id="fragment-alone"),
        pytest.param("/a?a=b?key=s", "/a?a=b?key=[redacted]", "/a?a=b", id="another-question-mark"),
        pytest.param("/a?x=%3Fkey%3Ds", "/a?x=%3Fkey%3D[redacted]", "/a?x=", id="escaped-in-a-value"),
        pytest.param(
            "/a?u=https%3a%2f%2fh%3fb%3d1%26key%3ds%26c%3d2&d=3",
            "/a?u=https%3a%2f%2fh%3fb%3d1%26key%3d[redacted]&d=3",
            "/a?u=https%3a%2f%2fh%3fb%3d1&d=3",
            id="among-others-in-an-escaped-url",
        ),
        pytest.param(
            "/a?x=%253Fkey%253Ds", "/a?x=%253Fkey%253D[redacted]", "/a?x=", id="escaped-more-than-once"
        ),
        pytest.param("/a/%3Fkey%3Ds", "/a/%3Fkey%3D[redacted]", "/a/", id="escaped-in-a-path"),
        pytest.param("/a?b%3Dkey=s", "/a?b%3Dkey=[redacted]", "/a", id="escaped-in-a-name"),
        pytest.param("/a?key%3Ds=t", "/a?key%3D[redacted]", "/a", id="a-name-that-holds-all"),
        pytest.param("/a?b%3Dc=d", "/a?b%3Dc=d", "/a?b%3Dc=d", id="escaped-and-not-secret"),
        pytest.param(
            "/a?code=s&country_code=de", "/a?code=[redacted]&country_code=de", "/a?country_code=de", id="code"
        ),
        pytest.param("/a?b=1#key=s", "/a?b=1#key=[redacted]", "/a?b=1", id="fragment-of-pairs"),
    ],
)
def test_queries(path: str, shown: str, dropped: str) -> None:
    """Both directions: shown without the value, sent to another host without the parameter."""
    assert redact_query(path) == shown
    assert drop_query_credentials(path) == dropped


@given(
    st.lists(
        st.tuples(st.sampled_from(["key", "a", "token", "b-c", "api_key"]), st.text("SECRT1=?", max_size=6)),
        max_size=5,
    )
)
def test_no_secret_of_any_query_is_left(pairs: list[tuple[str, str]]) -> None:
    """And nothing else is lost."""
    path = "/p?" + "&".join(f"{name}={value}" for name, value in pairs)
    harmless = [f"{name}={value}" for name, value in pairs if name in ("a", "b-c")]
    secret = [name for name, _ in pairs if name not in ("a", "b-c")]

    shown = redact_query(path).removeprefix("/p?").split("&") if pairs else []
    dropped = drop_query_credentials(path)

    assert [pair for pair in shown if pair not in harmless] == [f"{name}={REDACTED}" for name in secret]
    assert dropped == ("/p?" + "&".join(harmless) if harmless or not pairs else "/p")


@pytest.mark.parametrize(
    ("path", "held", "restored"),
    [
        pytest.param("/a", ("key=s",), "/a", id="no-query"),
        pytest.param("/a?key=[redacted]", ("key=s",), "/a?key=s", id="one"),
        pytest.param("/a?key=%5Bredacted%5D", ("key=s",), "/a?key=s", id="written-anew-by-mitmproxy"),
        pytest.param("/a?key=[redacted]&b=1", (), "/a?b=1", id="nothing-held"),
        pytest.param("/a?key=[redacted]", ("token=s",), "/a", id="of-another-name"),
        pytest.param("/a?b=1", ("key=s",), "/a?b=1", id="taken-away"),
        pytest.param("/a?key=t", ("key=s",), "/a?key=t", id="replaced"),
        pytest.param(
            "/a?key=[redacted]&token=[redacted]&key=[redacted]",
            ("key=s", "key=t", "token=u"),
            "/a?key=s&token=u&key=t",
            id="each-its-own",
        ),
        pytest.param("/a?key=[redacted]&key=[redacted]", ("key=s",), "/a?key=s", id="one-more-than-held"),
        pytest.param("/a?b=1;key=[redacted]", ("key=s;t",), "/a?b=1;key=s;t", id="after-a-semicolon"),
        pytest.param("/a?b=[redacted]", ("key=s",), "/a?b=[redacted]", id="a-clients-own-words"),
        pytest.param("/a?x=%3Fkey%3D[redacted]", ("key%3Ds",), "/a?x=%3Fkey%3Ds", id="escaped"),
        pytest.param("/a#key=[redacted]", ("key=s",), "/a#key=s", id="in-a-fragment"),
    ],
)
def test_restore_query(path: str, held: tuple[str, ...], restored: str) -> None:
    """Credentials come back where their placeholders still are; a placeholder is never sent."""
    assert restore_query(path, held) == restored


pairs_of_queries = st.builds(
    lambda name, rest: name + rest,
    st.sampled_from(["key", "a", "token", "api%5Fkey", "k%65y", "Key", "", "redacted"]),
    st.one_of(st.just(""), st.text("=?%5BDdt[]/+é;#3Fkey26", max_size=12).map(lambda value: f"={value}")),
)


@settings(max_examples=1000)
@given(st.one_of(st.none(), st.lists(pairs_of_queries, max_size=6)))
def test_a_query_that_nobody_edits_comes_back(pairs: list[str] | None) -> None:
    """Hidden and restored, it is the same, byte for byte."""
    path = "/p" if pairs is None else "/p?" + "&".join(pairs)
    shown = redact_query(path)

    assert restore_query(shown, query_credentials(path)) == path
    assert query_credentials(shown) == ()
    assert redact_query(shown) == shown
