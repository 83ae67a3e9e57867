"""What a route does besides retrying: the rows of `mesh-semantics.md` 4, and subsets and ports of 5.1."""

from collections.abc import Iterator
from typing import Any

from tests.parity.scenario import Ask, Fault, Pause, Reply, Request, Say, Scenario, Service, Step
from tests.parity.scenarios.common import alone, ask, one, outlier, route

_TO_PRIMARY = {"route": [{"destination": {"host": "primary"}}]}
_TO_OTHER = {"route": [{"destination": {"host": "other"}}]}


def _get(path: str, *headers: tuple[str, str], method: str = "GET") -> Ask:
    return Ask(1, Request(method=method, path=path, headers=headers))


def _rules(name: str, *rules: dict[str, Any], steps: tuple[Any, ...], **more: Any) -> Scenario:
    others = {"other": Service()}
    return Scenario(name=name, primary=Service(), others=others, http=rules, steps=steps, **more)


def _matches() -> Iterator[Scenario]:
    """Each match leads to `other`; what does not match, to `primary`; and in the last ones, nowhere."""
    chat = "/v1/chat/completions"
    table: dict[str, tuple[dict[str, Any], tuple[Ask, ...]]] = {
        "uri-exact": ({"uri": {"exact": "/a"}}, (_get("/a"), _get("/a/"), _get("/a?b=c"), _get("/A"))),
        "uri-prefix": ({"uri": {"prefix": "/a"}}, (_get("/a"), _get("/ab/c"), _get("/b/a"), _get("/A"))),
        "uri-regex": ({"uri": {"regex": r"/v\d+/.*"}}, (_get("/v12/x?y"), _get("/a/v1/x"), _get("/v1"))),
        "uri-any-case": (
            {"uri": {"prefix": "/Chat"}, "ignoreUriCase": True},
            (_get("/chat"), _get("/CHAT/x"), _get("/cha")),
        ),
        "method": ({"method": {"exact": "GET"}}, (_get("/"), _get("/", method="DELETE"))),
        "header-exact": (
            {"headers": {"user-type": {"exact": "subscriber"}}},
            (_get("/", ("User-Type", "subscriber")), _get("/", ("user-type", "Subscriber")), _get("/")),
        ),
        "header-prefix": (
            {"headers": {"user-type": {"prefix": "sub"}}},
            (_get("/", ("user-type", "subscriber")), _get("/", ("user-type", "a-sub"))),
        ),
        "header-regex": (
            {"headers": {"x-number": {"regex": r"\d+"}}},
            (_get("/", ("x-number", "123")), _get("/", ("x-number", "a123"))),
        ),
        "header-present": (
            {"headers": {"x-any": {}}},
            (_get("/", ("x-any", "")), _get("/", ("x-any", "1")), _get("/")),
        ),
        "header-twice": (
            {"headers": {"x-a": {"exact": "1,2"}}},
            (_get("/", ("x-a", "1"), ("x-a", "2")), _get("/", ("x-a", "1"))),
        ),
        "header-twice-any-of-them": (
            {"headers": {"x-a": {"exact": "2"}}},
            (_get("/", ("x-a", "1"), ("x-a", "2")), _get("/", ("x-a", "2"), ("x-a", "1"))),
        ),
        "without-header": (
            {"withoutHeaders": {"x-old": {"exact": "yes"}}},
            (_get("/"), _get("/", ("x-old", "yes")), _get("/", ("x-old", "no"))),
        ),
        "without-any-header": ({"withoutHeaders": {"x-old": {}}}, (_get("/"), _get("/", ("x-old", "no")))),
        "query": (
            {"queryParams": {"v": {"exact": "2"}}},
            (_get("/?v=2"), _get("/?v=1&v=2"), _get("/?a=b&v=2"), _get("/?v=22"), _get("/")),
        ),
        "query-present": ({"queryParams": {"v": {}}}, (_get("/?v"), _get("/?v=1"), _get("/?w=1"))),
        "scheme": ({"scheme": {"exact": "http"}}, (_get("/"),)),
        "all-of-one-match": (
            {"uri": {"prefix": "/a"}, "headers": {"x-b": {"exact": "1"}}},
            (_get("/a", ("x-b", "1")), _get("/a"), _get("/", ("x-b", "1"))),
        ),
        "another-port": ({"port": 8080}, (_get("/"),)),
    }
    for name, (match, steps) in table.items():
        yield _rules(f"match-{name}", {"match": [match], **_TO_OTHER}, _TO_PRIMARY, steps=steps)
    either = [{"uri": {"exact": "/a"}}, {"uri": {"exact": "/b"}}]
    yield _rules("match-either", {"match": either, **_TO_OTHER}, steps=(_get("/a"), _get("/b"), _get("/c")))
    steps = (Ask(), _get("/"), _get("/", method="HEAD"))
    yield _rules("match-nothing", {"match": [{"uri": {"exact": "/a"}}], **_TO_OTHER}, steps=steps)
    first = {"match": [{"uri": {"prefix": "/v1"}}], **_TO_OTHER}
    yield _rules(
        "match-first-wins", first, {**first, **_TO_PRIMARY}, _TO_PRIMARY, steps=(_get(chat), _get("/"))
    )


def _rewrites() -> Iterator[Scenario]:
    prefix = [{"uri": {"prefix": "/old"}}]
    exact = [{"uri": {"exact": "/old"}}]
    steps = (_get("/old"), _get("/old/a?b=c"), _get("/older"), Ask())
    table: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
        "prefix": (prefix, {"uri": "/new"}),
        "prefix-to-root": (prefix, {"uri": "/"}),
        "exact": (exact, {"uri": "/new/b"}),
        "regex": (prefix, {"uriRegexRewrite": {"match": r"^/old(/.*)?$", "rewrite": r"/new\1"}}),
        "regex-many": (prefix, {"uriRegexRewrite": {"match": "o", "rewrite": "0"}}),
        "authority": (prefix, {"authority": "elsewhere.test"}),
        "both": (prefix, {"uri": "/new", "authority": "elsewhere.test"}),
    }
    for name, (match, rewrite) in table.items():
        changed = {"match": match, "rewrite": rewrite, **_TO_PRIMARY}
        yield _rules(f"rewrite-{name}", changed, _TO_PRIMARY, steps=steps)


def _headers() -> Iterator[Scenario]:
    sent = (("x-old", "1"), ("x-kept", "2"), ("x-many", "a"), ("x-many", "b"))
    changes = {
        "set": {"x-kept": "set", "x-new": "set"},
        "add": {"x-kept": "added", "x-more": "added"},
        "remove": ["x-old"],
    }
    asked = Ask(1, Request(headers=sent))
    yield route("headers-of-requests", {"headers": {"request": changes}}, asked)
    response = {"headers": {"response": {**changes, "remove": ["x-gone"]}}}
    answer = Reply(200, (("x-gone", "1"), ("x-kept", "2")))
    yield route("headers-of-responses", response, Say(answer), Ask(), *ask(Fault.REFUSE), outlier=outlier(1))
    yield route("headers-of-local-replies", response, *ask(Fault.REFUSE), Ask(), outlier=outlier(1))
    yield route("headers-set-authority", {"headers": {"request": {"set": {"host": "elsewhere.test"}}}}, Ask())
    yield route(
        "headers-add-authority", {"headers": {"request": {"add": {":authority": "elsewhere.test"}}}}, Ask()
    )
    own = {"headers": {"request": {"set": {"x-a": "destination"}, "add": {"x-b": "destination"}}}}
    both = {
        "headers": {"request": {"set": {"x-a": "route"}, "add": {"x-b": "route"}}},
        "route": [{"destination": {"host": "primary"}, **own}],
    }
    yield _rules("headers-of-a-destination", both, steps=(asked,))
    weighted = {
        **both,
        "route": [
            {"destination": {"host": "primary"}, "weight": 1, **own},
            {"destination": {"host": "other"}, "weight": 0},
        ],
    }
    yield _rules("headers-of-a-weighted-destination", weighted, steps=(asked,))
    credentials = (
        ("authorization", "Bearer x"),
        ("cookie", "a=b"),
        ("x-api-key", "k"),
        ("x-csrf-token", "t"),
    )
    elsewhere = _get("/a?api_key=k&page_token=t&q=1", *credentials)
    yield _rules("headers-of-a-client-elsewhere", _TO_OTHER, steps=(elsewhere,))
    removed = {"headers": {"request": {"remove": ["authorization", "x-many"]}}}
    yield route("headers-removed", removed, Ask(1, Request(headers=(*sent, ("authorization", "Bearer x")))))


def _redirects() -> Iterator[Scenario]:
    steps = (_get("/v1/a?b=c"), Ask(), _get("/", method="HEAD"))
    table: dict[str, dict[str, Any]] = {
        "uri": {"uri": "/new"},
        "uri-with-query": {"uri": "/new?d=e"},
        "authority": {"authority": "elsewhere.test"},
        "scheme": {"scheme": "https"},
        "port": {"port": 8443},
        "scheme-and-port": {"scheme": "https", "port": 443},
        "derived-port": {"scheme": "https", "derivePort": "FROM_REQUEST_PORT"},
        "default-port": {"scheme": "https", "derivePort": "FROM_PROTOCOL_DEFAULT"},
        **{str(code): {"uri": "/new", "redirectCode": code} for code in (302, 303, 307, 308)},
    }
    for name, redirect in table.items():
        yield _rules(f"redirect-{name}", {"redirect": redirect}, steps=steps)
    yield _rules(
        "redirect-with-headers",
        {"redirect": {"uri": "/new"}, "headers": {"response": {"set": {"x-said": "moved"}}}},
        steps=(_get("/"),),
    )


def _destinations() -> Iterator[Scenario]:
    services: dict[str, Any] = {"other": Service(outlier=outlier(1)), "spare": Service()}

    def weighted(first: int, second: int, *, spare: bool = False) -> tuple[dict[str, Any], ...]:
        fallback = {"fallback": {"target": {"host": "spare"}}} if spare else {}
        targets = [("primary", first), ("other", second)]
        return ({"route": [{"destination": {"host": h}, "weight": w, **fallback} for h, w in targets]},)

    primary = Service(outlier=outlier(1))
    all_of_it: dict[str, Any] = {"primary": primary, "others": services}
    yield Scenario(name="weight-0-gets-none", http=weighted(0, 100), steps=(Ask(12),), **all_of_it)
    yield Scenario(name="weight-of-the-only-one", http=weighted(7, 0), steps=(Ask(6),), **all_of_it)
    chance: dict[str, Any] = {"free_choice": True, "free_counts": True}
    steps: tuple[Step, ...] = (Ask(24), Say(500), Ask(24), Ask(24))
    yield Scenario(name="weights", http=weighted(50, 50), steps=steps, **all_of_it, **chance)
    steps = (Ask(24), Say(500), Ask(24), Ask(24), Say(500, "other"), Ask(24), Ask(6))
    yield Scenario(
        name="each-weight-has-its-fallback",
        http=weighted(1, 1, spare=True),
        steps=steps,
        **all_of_it,
        **chance,
    )
    mirrored = {"mirrors": [{"destination": {"host": "other"}}]}
    others = {"other": Service(outlier=outlier(1))}
    yield route("mirror", mirrored, Ask(3), Pause(0.1), others=others)
    yield route("mirror-fails", mirrored, *ask(500, service="other"), Ask(2), Pause(0.1), others=others)
    never = {"mirrors": [{"destination": {"host": "other"}, "percentage": {"value": 0}}]}
    yield route("mirror-of-0-percent", never, Ask(3), Pause(0.1), others=others)


def _subsets() -> Iterator[Scenario]:
    strict = {"outlierDetection": outlier(1)}
    labels = ({"version": "v1"}, {"version": "v2"})
    subsets = (
        {"name": "v1", "labels": {"version": "v1"}},
        {"name": "v2", "labels": {"version": "v2"}, "trafficPolicy": strict},
    )
    service = Service(endpoints=2, labels=labels, subsets=subsets, outlier=outlier(3))

    def to(subset: str, **more: Any) -> dict[str, Any]:
        return {"route": [{"destination": {"host": "primary", "subset": subset}, **more}]}

    v1 = {"match": [{"uri": {"prefix": "/v1"}}], **to("v1")}
    first, second = _get("/v1"), _get("/v2")
    yield Scenario(
        name="subsets-have-policies-of-their-own",
        primary=service,
        http=(v1, to("v2")),
        steps=(first, second, first, Say(500), second, second, *(first,) * 4),
        by_endpoint=True,
    )
    yield Scenario(name="subset-unknown", primary=service, http=(to("v3"),), steps=(Ask(2),))
    spare = {"fallback": {"target": {"host": "primary", "subset": "v1"}}}
    yield Scenario(
        name="subset-falls-back-to-subset",
        primary=service,
        http=(to("v2", **spare),),
        steps=(Ask(2), Say(500, endpoint=1), Ask(), Ask(3)),
        by_endpoint=True,
    )
    nobody = Service(endpoints=1, labels=({"version": "v9"},), subsets=subsets)
    yield Scenario(name="subset-without-endpoints", primary=nobody, http=(to("v1"),), steps=(Ask(2),))


def _ports() -> Iterator[Scenario]:
    """An entry for the port replaces the rule's four blocks, and what it leaves out is as if unset."""

    def port(number: int, **blocks: Any) -> dict[str, Any]:
        entry = {"port": {"number": number}, "tls": {"mode": "DISABLE"}, **blocks}
        return {"portLevelSettings": [entry]}

    strict = outlier(1)
    yield alone("port-entry-counts", None, *ask(500), Ask(), policy=port(80, outlierDetection=strict))
    yield alone("port-entry-replaces", strict, *ask(500), Ask(), policy=port(80))
    yield alone("another-ports-entry-does-not", strict, *ask(500), Ask(), policy=port(443))
    lenient = port(80, outlierDetection=outlier(3))
    yield one("port-entry-replaces-the-threshold", strict, *ask(500, 500), *ask(500), Ask(), policy=lenient)


def _cors() -> Iterator[Scenario]:
    policy = {
        "allowOrigins": [{"exact": "https://a.test"}, {"regex": r"https://.*\.b\.test"}],
        "allowMethods": ["GET", "POST"],
        "allowHeaders": ["x-a"],
        "exposeHeaders": ["x-b"],
        "maxAge": "60s",
        "allowCredentials": True,
    }

    def preflight(origin: str) -> Ask:
        return _get("/", ("origin", origin), ("access-control-request-method", "POST"), method="OPTIONS")

    steps = (
        *(preflight("https://a.test"), preflight("https://x.b.test"), preflight("https://evil.test")),
        *(_get("/", ("origin", "https://a.test")), _get("/", ("origin", "https://evil.test")), _get("/")),
    )
    yield route("cors", {"corsPolicy": policy}, *steps)
    yield route("cors-unmatched-ignored", {"corsPolicy": {**policy, "unmatchedPreflights": "IGNORE"}}, *steps)


GROUPS = (_matches, _rewrites, _headers, _redirects, _destinations, _subsets, _ports, _cors)
