"""Answers that pass: their headers, and the odd ones."""

from collections.abc import Iterator

from tests.parity.scenario import Ask, Fault, Raw, Reply, Request, Say, Scenario
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


def _malformed() -> Iterator[Scenario]:
    chunked, five = "transfer-encoding: chunked", "content-length: 5"
    good, whole = b"5\r\nhello\r\n", b"5\r\nhello\r\n0\r\n\r\n"
    table: dict[str, tuple[str, *tuple[bytes, ...]]] = {
        "chunk-size": (chunked, good, b"ZZ\r\nxx\r\n"),
        "chunk-size-at-once": (chunked, b"ZZ\r\nxx\r\n"),
        "first-chunk-size": (chunked, b"", b"ZZ\r\nxx\r\n"),
        "chunk-bare-lf": (chunked, good, b"5\nagain\n0\n\n"),
        "chunk-negative": (chunked, good, b"-5\r\nagain\r\n0\r\n\r\n"),
        "chunk-huge": (chunked, good, b"fffffffffffffffff\r\nagain\r\n0\r\n\r\n"),
        "trailer": (chunked, good, b"0\r\nno trailer\r\n\r\n"),
        "trailer-at-once": (chunked, good + b"0\r\nno trailer\r\n\r\n"),
        "after-chunks": (chunked, good, b"0\r\n\r\nmore"),
        "after-chunks-at-once": (chunked, whole + b"more"),
        "after-length": (five, b"hello", b"more"),
        "after-length-at-once": (five, b"hellomore"),
        "second-answer": (five, b"helloHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbye"),
        "gzip-garbage": (f"{five}\r\ncontent-encoding: gzip", b"hello"),
        "two-lengths": (f"{five}\r\n{five}", b"hello"),
        "two-lengths-differ": (f"{five}\r\ncontent-length: 6", b"hello"),
        "length-list": ("content-length: 5, 5", b"hello"),
        "length-no-number": ("content-length: five", b"hello"),
        "length-and-chunked": (f"{five}\r\n{chunked}", whole),
        "coding": ("transfer-encoding: rot13", b"hello"),
        "coding-gzip": ("transfer-encoding: gzip, chunked", whole),
        "many-headers": (five + "\r\nx: y" * 150, b"hello"),
        "header-name": (f"{five}\r\nx y: z", b"hello"),
        "no-colon": (f"{five}\r\nxyz", b"hello"),
    }
    for name, (fields, *pieces) in table.items():
        top = f"HTTP/1.1 200 OK\r\ncontent-type: text/x-endpoint\r\n{fields}\r\n\r\n".encode()
        yield one(f"malformed-{name}", outlier(1), Say(Raw((top + pieces[0], *pieces[1:]))), Ask(2))


GROUPS = (_headers, _odd, _malformed)
