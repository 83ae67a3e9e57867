"""What an attempt sends."""

import gzip
import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from llm_fallback.config.snapshot import Provider, ProviderConfig, Target, Tls
from llm_fallback.headers import Headers
from llm_fallback.messages import OriginalRequest, Outgoing, end_to_end, is_well_formed
from llm_fallback.outlier import Endpoint
from llm_fallback.rewriting import Plan, rewrite

CHAT = "/compatible-mode/v1/chat/completions"
OWN = Provider("own", "/v1/chat/completions", ProviderConfig("own-model", api_key=SecretStr("own-key")))
QWEN = Provider("qwen", CHAT, ProviderConfig("qwen-72b", stream=False, api_key=SecretStr("qwen-key")))
BARE = Provider("bare")
JSON = ("Content-Type", "application/json")


def target_of(provider: Provider | None, host: str = "b.com", **settings_of_target: object) -> Target:
    tls = Tls(host, (host,))
    return Target(host, 80, (Endpoint(host, 443),), tls=tls, provider=provider, **settings_of_target)  # type: ignore[arg-type]


def request(
    path: str = "/",
    *,
    headers: Headers = (),
    body: bytes = b"",
    method: str = "POST",
    host: str = "a.com",
    port: int = 80,
) -> OriginalRequest:
    return OriginalRequest(method, host, port, path, headers, body)


def sent(outgoing: Outgoing) -> dict[str, str]:
    """The headers by lower-case name; each occurs once."""
    headers = {name.lower(): value for name, value in outgoing.headers}
    assert len(headers) == len(outgoing.headers)
    return headers


def provider_at(path: str | None) -> Provider:
    return Provider("p", path)


@pytest.mark.parametrize(
    ("path", "addressed", "target", "expected"),
    [
        pytest.param("", "/v1/chat/completions", CHAT, CHAT, id="no-path"),
        pytest.param("/", "/v1/chat/completions", CHAT, CHAT, id="bare-host"),
        pytest.param("/?a=1&b=%20", "/v1/chat/completions", CHAT, CHAT + "?a=1&b=%20", id="query-is-kept"),
        pytest.param("/v1/chat/completions", "/v1/chat/completions", CHAT, CHAT, id="chat-path"),
        pytest.param(
            "/v1/chat/completions?a=1", "/v1/chat/completions", CHAT, CHAT + "?a=1", id="chat-path-with-query"
        ),
        pytest.param("/chat/completions", "/v1/chat/completions", CHAT, CHAT, id="any-path-that-ends-so"),
        pytest.param("/x/y/chat/completions", "/v1/chat/completions", CHAT, CHAT, id="under-any-base"),
        pytest.param("/generate", "/generate", CHAT, CHAT, id="the-addressed-providers-own-chat-path"),
        pytest.param("/v1/models", CHAT, "/api/chat/completions", "/api/models", id="api-under-v1"),
        pytest.param(
            "/compatible-mode/v1/models?x", CHAT, "/v1/chat/completions", "/v1/models?x", id="api-under-base"
        ),
        pytest.param(
            "/v1/models/a/b", "/v1/chat/completions", CHAT, "/compatible-mode/v1/models/a/b", id="deep"
        ),
        pytest.param("/v1", CHAT, "/api/chat/completions", "/v1", id="v1-alone-is-no-api-path"),
        pytest.param("/v1beta/models", CHAT, "/api/chat/completions", "/v1beta/models", id="not-under-v1"),
        pytest.param("/health", "/v1/chat/completions", CHAT, "/health", id="anything-else-stays"),
        pytest.param(
            "/chat/completions/x", "/v1/chat/completions", CHAT, "/chat/completions/x", id="not-its-end"
        ),
        pytest.param(
            "/?p=/chat/completions", CHAT, None, "/?p=/chat/completions", id="no-path-keeps-bare-host"
        ),
        pytest.param("/v1/chat/completions", CHAT, None, "/v1/chat/completions", id="no-path-keeps-chat"),
        pytest.param("/v1/models", CHAT, None, "/v1/models", id="no-path-keeps-api"),
        pytest.param("/x?p=/chat/completions", CHAT, CHAT, "/x?p=/chat/completions", id="a-query-is-no-path"),
        pytest.param("/v1/models", None, CHAT, "/compatible-mode/v1/models", id="addressed-has-no-path"),
        pytest.param("/v1/models", CHAT, "/generate", "/v1/models", id="a-chat-path-that-tells-no-base"),
        pytest.param("/", CHAT, "/generate", "/generate", id="but-chat-goes-there"),
        pytest.param(
            "/v1/models", "/chat/completions", CHAT, "/compatible-mode/v1/models", id="v1-under-an-empty-base"
        ),
        pytest.param(
            "/models", "/chat/completions", CHAT, "/compatible-mode/v1/models", id="api-under-an-empty-base"
        ),
        pytest.param("/v1/models", CHAT, "/chat/completions", "/models", id="to-an-empty-base"),
    ],
)
def test_path(path: str, addressed: str | None, target: str | None, expected: str) -> None:
    """The target provider's path for chat, its base for the rest of the API; anything else is left alone."""
    outgoing = rewrite(request(path), target_of(provider_at(target)), provider_at(addressed))

    assert outgoing.path == expected


@pytest.mark.parametrize("path", ["/", "/v1/chat/completions", "/v1/models?a=1", "/x"])
def test_a_host_without_provider_keeps_its_path_and_body(path: str) -> None:
    """Only hosts with an LLMProvider are rewritten."""
    body = b'{"model": "mine"}'

    outgoing = rewrite(request(path, headers=(JSON,), body=body), target_of(None), OWN)

    assert (outgoing.method, outgoing.path, outgoing.body, outgoing.api_key) == ("POST", path, body, None)


@pytest.mark.parametrize(
    ("model", "stream", "body", "expected"),
    [
        pytest.param("m", None, '{"model": "mine", "a": 1.50}', '{"model": "m", "a": 1.50}', id="model-wins"),
        pytest.param("m", None, '{"a": 1}', '{"model": "m", "a": 1}', id="model-is-added"),
        pytest.param(None, None, '{"model": "mine"}', '{"model": "mine"}', id="no-model-keeps-the-clients"),
        pytest.param(None, False, '{"a": 1}', '{"stream": false, "a": 1}', id="stream-is-a-default"),
        pytest.param(None, True, '{"stream": false}', '{"stream": false}', id="the-clients-stream-wins"),
        pytest.param(None, False, '{"stream": true}', '{"stream": true}', id="whichever-it-is"),
        pytest.param("m", True, "[1]", "[1]", id="an-array-is-untouched"),
        pytest.param("m", True, "hello", "hello", id="text-is-untouched"),
        pytest.param("m", True, "", "", id="no-body"),
    ],
)
def test_model_and_stream(*, model: str | None, stream: bool | None, body: str, expected: str) -> None:
    """Set in a JSON object; every other byte stays."""
    provider = Provider("p", "/v1/chat/completions", ProviderConfig(model, stream))

    outgoing = rewrite(request(headers=(JSON,), body=body.encode()), target_of(provider), None)

    assert outgoing.body.decode() == expected
    assert sent(outgoing) == {"host": "b.com", "content-type": "application/json"}


@pytest.mark.parametrize(
    ("path", "is_chat"),
    [
        pytest.param("/", True, id="bare-host"),
        pytest.param("/v1/chat/completions?a=1", True, id="chat"),
        pytest.param("/v1/embeddings", False, id="another-api"),
        pytest.param("/x", False, id="anything-else"),
    ],
)
def test_only_chat_gets_the_model(path: str, *, is_chat: bool) -> None:
    """The provider's model is a chat model."""
    outgoing = rewrite(request(path, headers=(JSON,), body=b'{"model":"mine"}'), target_of(QWEN), None)

    assert json.loads(outgoing.body)["model"] == ("qwen-72b" if is_chat else "mine")


def test_a_provider_without_path_gets_the_model_on_its_chat_path() -> None:
    """Where the client's path stays, it tells what is chat."""
    provider = Provider("p", default=ProviderConfig("m"))
    chat, other = (
        rewrite(request(path, body=b'{"model":"mine"}'), target_of(provider), None)
        for path in ("/v9/chat/completions", "/v9/embeddings")
    )

    assert (chat.body, other.body) == (b'{"model":"m"}', b'{"model":"mine"}')


@pytest.mark.parametrize(
    ("host", "provider", "expected"),
    [
        pytest.param("b.com", QWEN, None, id="other-host-with-key"),
        pytest.param("b.com", BARE, None, id="other-host-without-key"),
        pytest.param("b.com", None, "Bearer mine", id="the-rules-host-without-any-provider"),
        pytest.param("a.com", QWEN, None, id="own-host-with-key"),
        pytest.param("a.com", BARE, "Bearer mine", id="own-host-without-key"),
        pytest.param("a.com", None, "Bearer mine", id="own-host-without-provider"),
    ],
)
def test_authorization(host: str, provider: Provider | None, expected: str | None) -> None:
    """To a provider the client's goes only if that is the host it called, and has no key to put there."""
    outgoing = rewrite(
        request(headers=(("Authorization", "Bearer mine"),)), target_of(provider, host), provider
    )

    assert sent(outgoing).get("authorization") == expected
    assert outgoing.api_key == (provider.default.api_key if provider else None)


CREDENTIALS: Headers = (
    ("X-Api-Key", "s3cret-1"),
    ("api-key", "s3cret-2"),
    ("Cookie", "session=s3cret-3"),
    ("X-Goog-Api-Key", "s3cret-4"),
)


@pytest.mark.parametrize("host", ["a.com", "A.COM"])
def test_other_credentials_go_to_the_addressed_host(host: str) -> None:
    """In whatever case the client wrote it."""
    outgoing = rewrite(
        request("/?key=s3cret-5&a=1", headers=CREDENTIALS, host=host), target_of(BARE, "a.com"), BARE
    )

    assert outgoing.headers == (("Host", "a.com"), *CREDENTIALS)
    assert outgoing.path == "/?key=s3cret-5&a=1"


def test_other_credentials_go_nowhere_else() -> None:
    """Neither as headers nor in the query, whose other parameters stay."""
    outgoing = rewrite(request("/?key=s3cret-5&a=1", headers=(*CREDENTIALS, JSON)), target_of(QWEN), OWN)

    assert outgoing.headers == (("Host", "b.com"), JSON)
    assert outgoing.path == CHAT + "?a=1"


def test_where_no_provider_takes_part_a_rule_leads_them_anywhere() -> None:
    """As in the mesh: the rule says who serves the host. A fallback, a policy and a mirror do not."""
    original = request("/?key=s3cret-5&a=1", headers=(*CREDENTIALS, JSON))

    led = rewrite(original, target_of(None), None)
    moved = rewrite(original, target_of(None), None, Plan(fell_back=True))

    assert led.headers == (("Host", "a.com"), *CREDENTIALS, JSON)
    assert led.path == "/?key=s3cret-5&a=1"
    assert moved.headers == (("Host", "a.com"), JSON)
    assert moved.path == "/?a=1"


def test_a_url_in_a_header_goes_elsewhere_without_its_key() -> None:
    """As in Referer; the host that the client called gets it as it is."""
    referer = ("Referer", "http://a.com/page?key=s3cret-6&a=1")
    original = request(headers=(referer,))

    assert sent(rewrite(original, target_of(QWEN), OWN))["referer"] == "http://a.com/page?a=1"
    assert referer in rewrite(original, target_of(BARE, "a.com"), BARE).headers


tokens = st.text("ABCDEFGHJK", min_size=8, max_size=12).map("s3cret-".__add__)
credential_headers = st.tuples(
    st.sampled_from(
        [
            "Authorization",
            "authorization",
            "AUTHORIZATION",
            "Proxy-Authorization",
            "Cookie",
            "api-key",
            "X-Api-Key",
            "x-goog-api-key",
            "X-Auth-Token",
            "x-client-secret",
        ]
    ),
    st.one_of(tokens, tokens.map("Bearer ".__add__), tokens.map("sid=".__add__)),
)
harmless_headers = st.tuples(
    st.sampled_from(["Accept", "X-Request-Id", "User-Agent", "Connection", "TE", "Idempotency-Key"]),
    st.sampled_from(["a", "close", "keep-alive, X-Api-Key", "x-trace"]),
)
credential_queries = st.lists(
    st.tuples(st.sampled_from(["key", "api_key", "access_token", "a"]), tokens), max_size=3
).map(lambda pairs: "&".join(f"{n}={'harmless' if n == 'a' else v}" for n, v in pairs))
requests = st.builds(
    lambda path, query, headers, body: request(f"{path}?{query}", headers=tuple(headers), body=body),
    st.sampled_from(["/", "/v1/chat/completions", "/v1/models", "/x"]),
    credential_queries,
    st.lists(st.one_of(credential_headers, harmless_headers), max_size=6),
    st.sampled_from([b"", b"{}", b"x"]),
)


@settings(max_examples=500)
@given(
    requests,
    st.sampled_from([(QWEN, OWN), (QWEN, None), (BARE, OWN), (BARE, None), (None, OWN)]),
    st.booleans(),
)
def test_no_credential_ever_reaches_another_provider(
    original: OriginalRequest,
    providers: tuple[Provider | None, Provider | None],
    fell_back: bool,  # noqa: FBT001
) -> None:
    """Nor any other host than the provider that the client has called, whatever the headers and the query."""
    provider, addressed = providers
    outgoing = rewrite(original, target_of(provider), addressed, Plan(fell_back=fell_back))

    everything = repr((outgoing.method, outgoing.path, outgoing.headers, outgoing.body))
    assert "s3cret" not in everything
    assert "own-key" not in everything


@settings(max_examples=500)
@given(requests, st.sampled_from([QWEN, BARE, None]), st.sampled_from(["a.com", "b.com"]))
def test_what_is_shown_has_no_secret(original: OriginalRequest, provider: Provider | None, host: str) -> None:
    """Neither the client's nor the provider's, also where they are sent."""
    outgoing = rewrite(original, target_of(provider, host), provider)

    assert "s3cret" not in repr(outgoing.shown())
    assert "qwen-key" not in repr(outgoing.shown())
    assert "s3cret" not in repr(outgoing) + repr(original)
    assert "qwen-key" not in repr(outgoing)


def test_shown() -> None:
    """Path and headers as they are, with the secrets of both sides redacted."""
    own = rewrite(
        request("/v1/models?key=s3cret", headers=(*CREDENTIALS, JSON, ("Authorization", "Bearer x"))),
        target_of(BARE, "a.com"),
        BARE,
    )
    other = rewrite(request(headers=(JSON,)), target_of(QWEN), None)

    assert own.shown() == (
        "/v1/models?key=[redacted]",
        (
            ("Host", "a.com"),
            ("X-Api-Key", "[redacted]"),
            ("api-key", "[redacted]"),
            ("Cookie", "[redacted]"),
            ("X-Goog-Api-Key", "[redacted]"),
            JSON,
            ("Authorization", "Bearer [redacted]"),
        ),
    )
    assert other.shown() == (CHAT, (("Host", "b.com"), JSON, ("Authorization", "Bearer [redacted]")))


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        pytest.param((("Accept", "a"), ("X-B", "b")), (("Accept", "a"), ("X-B", "b")), id="end-to-end"),
        pytest.param(
            (
                ("Connection", "keep-alive"),
                ("Keep-Alive", "timeout=5"),
                ("Proxy-Connection", "keep-alive"),
                ("Proxy-Authenticate", "Basic"),
                ("Proxy-Authorization", "Basic x"),
                ("TE", "gzip"),
                ("Trailer", "X-Sum"),
                ("Transfer-Encoding", "chunked"),
                ("Upgrade", "h2c"),
            ),
            (),
            id="hop-by-hop",
        ),
        pytest.param(
            (("X-Hop", "1"), ("connection", "x-hop , close"), ("X-Other", "2")),
            (("X-Other", "2"),),
            id="named-by-connection",
        ),
        pytest.param(
            (("Connection", "a"), ("CONNECTION", "b"), ("A", "1"), ("B", "2"), ("C", "3")),
            (("C", "3"),),
            id="named-by-several",
        ),
        pytest.param((("Connection", ",, ,"), ("A", "1")), (("A", "1"),), id="named-nothing"),
        pytest.param((("Accept", "a"), ("Accept", "b")), (("Accept", "a"), ("Accept", "b")), id="twice"),
    ],
)
def test_end_to_end(headers: Headers, kept: Headers) -> None:
    """Headers of one connection stay on it; the others keep order, case and number."""
    assert end_to_end(headers) == kept
    assert rewrite(request(headers=headers), target_of(QWEN), None).headers == (("Host", "b.com"), *kept)


def test_headers_between_us_and_the_target_are_not_the_clients() -> None:
    """Length, expectation and host are written anew."""
    headers = (("Host", "a.com"), ("content-length", "5"), ("Expect", "100-continue"), ("Accept", "a"))

    outgoing = rewrite(request(headers=headers, body=b"12345"), target_of(QWEN), None)

    assert outgoing.headers == (("Host", "b.com"), ("Accept", "a"))


@pytest.mark.parametrize(
    ("provider", "headers", "port", "authority"),
    [
        pytest.param(QWEN, (("Host", "a.com:8080"),), 8080, "b.com", id="a-providers-own-host"),
        pytest.param(None, (("Host", "a.com"),), 80, "a.com", id="the-clients-as-it-is"),
        pytest.param(None, (("host", "A.com:8080"),), 8080, "A.com:8080", id="with-its-port-and-case"),
        pytest.param(None, (), 80, "a.com", id="no-host-header"),
        pytest.param(None, (), 8080, "a.com:8080", id="no-host-header-and-another-port"),
    ],
)
def test_authority(provider: Provider | None, headers: Headers, port: int, authority: str) -> None:
    """Of a provider, its host; otherwise Envoy leaves what the client wrote, for a fallback too."""
    outgoing = rewrite(request(headers=headers, port=port), target_of(provider), None)

    assert outgoing.headers == (("Host", authority),)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param(request(), True, id="plain"),
        pytest.param(request(""), True, id="no-path"),
        pytest.param(request('/a//b;c=%20?d=/e?f&g[]={}"|'), True, id="odd-but-allowed"),
        pytest.param(request("/café"), True, id="not-ascii"),
        pytest.param(request("/a\udce9"), True, id="not-utf-8"),
        pytest.param(request("a"), False, id="no-slash"),
        pytest.param(request("@b.com/"), False, id="another-authority"),
        pytest.param(request(":1/"), False, id="another-port"),
        pytest.param(request("?a=1"), False, id="a-query-only"),
        pytest.param(request("*"), False, id="asterisk"),
        pytest.param(request("/a b"), False, id="a-space"),
        pytest.param(request("/a\tb"), False, id="a-tab"),
        pytest.param(request("/a\r\nX: 1"), False, id="a-line-end-in-the-path"),
        pytest.param(request("/a\n"), False, id="a-line-end-at-its-end"),
        pytest.param(request("/a\x00"), False, id="nul-in-the-path"),
        pytest.param(request("/a\x7f"), False, id="delete-in-the-path"),
        pytest.param(request("/a#b"), False, id="a-fragment"),
        pytest.param(request("/?a#b"), False, id="a-fragment-after-the-query"),
        pytest.param(request(method="M-SEARCH"), True, id="any-token"),
        pytest.param(request(method=""), False, id="no-method"),
        pytest.param(request(method="GET /"), False, id="a-space-in-the-method"),
        pytest.param(request(method="GET\n"), False, id="a-line-end-after-the-method"),
        pytest.param(request(method="G\udcffT"), False, id="a-method-that-is-not-ascii"),
        pytest.param(request(headers=(("X-A", ""), ("x_b", "\t c d é\udce9"))), True, id="headers"),
        pytest.param(request(headers=(JSON, ("", "1"))), False, id="no-name"),
        pytest.param(request(headers=(("X A", "1"),)), False, id="a-space-in-a-name"),
        pytest.param(request(headers=(("X-A:", "1"),)), False, id="a-colon-in-a-name"),
        pytest.param(request(headers=(("X-A\n", "1"),)), False, id="a-line-end-in-a-name"),
        pytest.param(request(headers=((":path", "1"),)), False, id="a-pseudo-header"),
        pytest.param(request(headers=(("X-A", "1\r\nX-B: 2"),)), False, id="a-line-end-in-a-value"),
        pytest.param(request(headers=(("X-A", "1\n"),)), False, id="a-line-end-after-a-value"),
        pytest.param(request(headers=(("X-A", "1\r"),)), False, id="a-bare-cr"),
        pytest.param(request(headers=(("X-A", "\x80\x85\x9b"),)), True, id="beyond-ascii-in-a-value"),
        *(
            pytest.param(
                request(headers=(("X-A", f"1{chr(code)}2"),)), code == 0x09, id=f"{code:02x}-in-a-value"
            )
            for code in (*range(0x20), 0x7F)
        ),
        *(
            pytest.param(made, False, id=f"{code:02x}-in-a-{place}")
            for code in (*range(0x21), 0x7F)
            for place, made in (
                ("name", request(headers=((f"X-A{chr(code)}", "1"),))),
                ("method", request(method=f"GE{chr(code)}T")),
                ("path", request(f"/a{chr(code)}b")),
            )
        ),
    ],
)
def test_is_well_formed(sent: OriginalRequest, *, expected: bool) -> None:
    """Whether it can be written as HTTP/1 without becoming another request."""
    assert is_well_formed(sent) is expected


BODY = b'{"messages": [], "model": "mine"}'
CHANGED = b'{"stream": false, "messages": [], "model": "qwen-72b"}'


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        pytest.param("gzip", gzip.compress(BODY), id="gzip"),
        pytest.param("GZIP ", gzip.compress(BODY), id="gzip-in-capitals"),
        pytest.param("deflate", zlib.compress(BODY), id="deflate"),
        pytest.param("identity", BODY, id="identity"),
    ],
)
def test_a_compressed_body_is_sent_on_plain(encoding: str, body: bytes) -> None:
    """The model is inside, and the header that said so goes."""
    outgoing = rewrite(
        request(headers=(("Content-Encoding", encoding), JSON), body=body), target_of(QWEN), None
    )

    assert outgoing.body == CHANGED
    assert sent(outgoing) == {"host": "b.com", "content-type": "application/json"}


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        pytest.param("br", BODY, id="an-encoding-not-undone-here"),
        pytest.param("gzip, gzip", gzip.compress(gzip.compress(BODY)), id="two-layers"),
        pytest.param("gzip", BODY, id="not-what-it-says"),
        pytest.param("gzip", gzip.compress(BODY)[:-4], id="cut"),
        pytest.param("gzip", gzip.compress(BODY) + b"x", id="something-after-it"),
        pytest.param("gzip", gzip.compress(b"hello"), id="not-json-inside"),
        pytest.param("deflate", b"", id="empty"),
    ],
)
def test_a_body_that_cannot_be_read_is_passed_on_untouched(encoding: str, body: bytes) -> None:
    """With the header that says what it is."""
    outgoing = rewrite(request(headers=(("Content-Encoding", encoding),), body=body), target_of(QWEN), None)

    assert outgoing.body == body
    assert sent(outgoing) == {"host": "b.com", "content-encoding": encoding}


def test_a_compressed_body_is_left_alone_where_nothing_is_set() -> None:
    """A provider without model and stream changes no byte of it."""
    body = gzip.compress(BODY)

    outgoing = rewrite(
        request(headers=(("Content-Encoding", "gzip"),), body=body), target_of(provider_at(CHAT)), None
    )

    assert outgoing.body == body
    assert sent(outgoing) == {"host": "b.com", "content-encoding": "gzip"}


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", "identity", "br", ""]))
def test_no_body_raises(body: bytes, encoding: str) -> None:
    """Whatever it is, it arrives."""
    outgoing = rewrite(request(headers=(("Content-Encoding", encoding),), body=body), target_of(QWEN), None)

    assert outgoing.body == body or json.loads(outgoing.body)["model"] == "qwen-72b"


def test_every_attempt_starts_from_the_original() -> None:
    """What is sent to the fallback does not depend on what was sent to the primary."""
    original = request(headers=(JSON,), body=BODY)
    alone = rewrite(original, target_of(QWEN), OWN)

    rewrite(original, target_of(OWN, "a.com"), OWN)
    after_another = rewrite(original, target_of(QWEN), OWN)

    assert after_another == alone
    assert original == request(headers=(JSON,), body=BODY)
