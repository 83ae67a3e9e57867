"""Answers that pass: their headers, and the odd ones."""

from collections.abc import Iterator

from tests.parity.scenario import Ask, Fault, Reply, Request, Say, Scenario
from tests.parity.scenarios.common import ask, one, outlier, route

_DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


def _headers() -> Iterator[Scenario]:
    table = {
        "server": (("server", "a-provider"),),
        "date": (("date", _DATE),),
        "attempt-count": (("x-envoy-attempt-count", "9"),),
        "service-time": (("x-envoy-upstream-service-time", "12345"),),
        "overloaded": (("x-envoy-overloaded", "true"),),
        "request-id": (("x-request-id", "from-the-provider"),),
        "twice": (("x-a", "1"), ("x-a", "2")),
        "cookies": (("set-cookie", "a=1"), ("set-cookie", "b=2")),
        "hop-by-hop": (("keep-alive", "timeout=5"), ("proxy-connection", "close")),
        "via": (("via", "1.1 somewhere"),),
        "empty": (("x-empty", ""),),
    }
    for name, headers in table.items():
        yield route(f"answer-header-{name}", {}, Say(Reply(200, headers)), Ask())
    sent = {
        "te": (("te", "trailers"),),
        "proxy-connection": (("proxy-connection", "keep-alive"),),
        "expect": (("expect", "100-continue"),),
        "forwarded-for": (("x-forwarded-for", "10.0.0.1"),),
        "request-id": (("x-request-id", "from-the-client"),),
        "via": (("via", "1.0 before"),),
        "internal": (("x-envoy-internal", "true"), ("x-envoy-original-path", "/a")),
    }
    for name, headers in sent.items():
        yield route(f"request-header-{name}", {}, Ask(1, Request(headers=headers)))


def _odd() -> Iterator[Scenario]:
    head, get = Request(method="HEAD"), Request(method="GET")
    for fault in (Fault.CONTINUE_200, Fault.HINTS_200, Fault.BODY_204, Fault.BODY_304):
        yield one(f"odd-{fault}", outlier(1), Say(fault), Ask(2))
        yield one(f"odd-{fault}-get", outlier(1), Say(fault), Ask(2, get))
    for status in (204, 205, 304, 404, 503):
        yield one(f"head-{status}", outlier(2), Say(status), Ask(2, head))
    for name, steps in {
        "uh": (*ask(500), Ask(1, head)),
        "refused": (Say(Fault.REFUSE), Ask(1, head)),
        "reset": (Say(Fault.RESET), Ask(1, head)),
    }.items():
        yield route(f"head-local-{name}", {}, *steps, outlier=outlier(1))
    empty = Reply(200, body="")
    yield one("odd-empty", outlier(1), Say(empty), Ask(2))
    yield one("odd-empty-500", outlier(2), Say(Reply(500, body="")), Ask(2), Ask())


GROUPS = (_headers, _odd)
