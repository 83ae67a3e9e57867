"""Several endpoints and several providers: balancing, DNS, and how their states keep apart."""

from collections.abc import Iterator
from typing import Any

from tests.parity.scenario import (
    Ask,
    AwaitReturn,
    Burst,
    Fault,
    Request,
    Resolve,
    Say,
    Scenario,
    Service,
    Step,
)
from tests.parity.scenarios.common import BASE, ask, outlier, several

_ROUND_ROBIN = {"loadBalancer": {"simple": "ROUND_ROBIN"}}


def _balancers() -> Iterator[Scenario]:
    counted: dict[str, Any] = {"by_endpoint": True, "policy": _ROUND_ROBIN}
    yield several("round-robin", 3, outlier(0), Ask(12), Say(500), Ask(6), **counted)
    yield several("round-robin-thresholds", 3, outlier(2), Say(500), Ask(3), Ask(3), Ask(2), **counted)
    one_out = (Say(500, endpoint=1), Ask(3), Ask(12))
    yield several("round-robin-with-one-out", 3, outlier(1), *one_out, free_choice=True, policy=_ROUND_ROBIN)
    barred = outlier(1, maxEjectionPercent=34)
    yield several(
        "round-robin-with-one-barred", 3, barred, Say(500), Ask(3), Ask(12), free_choice=True, **counted
    )
    back = outlier(1, baseEjectionTime=BASE)
    steps = (Say(500), Ask(2), Ask(1), Say(200), AwaitReturn(), Ask(6))
    yield several("round-robin-all-return", 2, back, *steps, **counted)
    retries = {"retries": {"attempts": 2, "retryOn": "503"}}
    yield several("round-robin-retries", 3, outlier(0), Say(503), Ask(4), route=retries, **counted)
    weighted = Service(endpoints=2, weights=(3, 1), policy=_ROUND_ROBIN)
    chosen: dict[str, Any] = {"free_choice": True, "by_endpoint": True}
    yield Scenario(name="round-robin-weights", primary=weighted, steps=(Ask(16),), **chosen)
    for name in ("RANDOM", "LEAST_REQUEST"):
        policy = {"loadBalancer": {"simple": name}}
        yield several(
            f"balancer-{name.lower().replace('_', '-')}", 3, outlier(1), Say(500), Ask(5), policy=policy
        )
    yield several("least-request-burst", 2, outlier(0), Say(500), Burst(4), by_endpoint=False)


def _hashing() -> Iterator[Scenario]:
    users: tuple[Step, ...] = tuple(Ask(2, Request(headers=(("x-user", f"user-{n}"),))) for n in range(12))
    kinds: dict[str, dict[str, Any]] = {
        "ring": {"httpHeaderName": "x-user"},
        "small-ring": {"httpHeaderName": "x-user", "ringHash": {"minimumRingSize": 16}},
        "maglev": {"httpHeaderName": "x-user", "maglev": {"tableSize": 65537}},
        "small-maglev": {"httpHeaderName": "x-user", "maglev": {"tableSize": 11}},
    }
    for name, hashing in kinds.items():
        policy = {"loadBalancer": {"consistentHash": hashing}}
        yield several(f"hash-{name}", 4, outlier(0), *users, policy=policy, same_ports=True)
    policy = {"loadBalancer": {"consistentHash": kinds["ring"]}}
    out = (Say(500), users[0], Say(200), *users)
    yield several("hash-with-some-ejected", 4, outlier(1), *out, policy=policy, same_ports=True)
    refused = (Say(Fault.REFUSE), users[0], Say(200), *users[:6])
    yield several("hash-retries-stay", 3, outlier(9), *refused, policy=policy, same_ports=True)
    maglev = {"loadBalancer": {"consistentHash": kinds["maglev"]}}
    yield several("hash-maglev-with-some-ejected", 4, outlier(1), *out, policy=maglev, same_ports=True)
    query = {"loadBalancer": {"consistentHash": {"httpQueryParameterName": "user"}}}
    paths = tuple(Ask(2, Request(path=f"/v1/chat/completions?user={n}")) for n in range(8))
    yield several("hash-query", 4, outlier(0), *paths, policy=query, same_ports=True)
    source = {"loadBalancer": {"consistentHash": {"useSourceIp": True}}}
    yield several("hash-source", 4, outlier(0), Ask(6), policy=source, same_ports=True)
    cookie = {"loadBalancer": {"consistentHash": {"httpCookie": {"name": "user", "ttl": "0s"}}}}
    cookies = tuple(Ask(2, Request(headers=(("cookie", f"a=b; user=u{n}"),))) for n in range(6))
    yield several("hash-cookie", 4, outlier(0), *cookies, policy=cookie, same_ports=True)
    many = Ask(1, Request(headers=(("x-user", "b"), ("x-user", "a"))))
    yield several("hash-two-values", 4, outlier(0), many, many, policy=policy, same_ports=True)


def _dns() -> Iterator[Scenario]:
    def named(name: str, first: tuple[int, ...], *steps: Any, threshold: int = 1, **more: Any) -> Scenario:
        primary = Service(endpoints=3, dns=first, outlier=outlier(threshold))
        return Scenario(name=name, primary=primary, fallback=Service(), steps=tuple(steps), **more)

    yield named("dns-one-address", (0,), *ask(500), Ask(2))
    yield named("dns-every-address-counts", (0, 1), Say(500), Ask(2), Ask(2))
    yield named("dns-new-address-is-healthy", (0,), *ask(500), Ask(), Say(200), Resolve((0, 1)), Ask(3))
    yield named("dns-address-replaced", (0,), *ask(500), Ask(), Say(200), Resolve((1,)), Ask(2))
    forgotten = (*ask(500), Ask(), Resolve((1,)), Say(200), Resolve((0,)), Ask(2))
    yield named("dns-an-ejection-is-forgotten", (0,), *forgotten)
    yield named("dns-the-same-again", (0, 1), Say(500), Ask(2), Resolve((0, 1)), Say(200), Ask(2))
    yield named("dns-another-order", (0, 1), Say(500), Ask(2), Resolve((1, 0)), Say(200), Ask(2))
    for why in ("NXDOMAIN", "EMPTY"):
        gone = (Ask(), Resolve(why), Ask(2), Resolve((0,)), Ask(2))
        yield named(f"dns-{why.lower()}", (0,), *gone)
        alone = Service(endpoints=1, dns=(0,))
        yield Scenario(name=f"dns-{why.lower()}-without-fallback", primary=alone, steps=gone)
    yield named("dns-servfail-keeps", (0,), Ask(), Resolve("SERVFAIL"), Ask(2), *ask(500), Ask())
    yield named(
        "dns-counters-stay", (0,), *ask(500), Resolve((0, 1, 2)), Resolve((0,)), *ask(500), Ask(), threshold=2
    )
    yield named(
        "dns-counters-go", (0,), *ask(500), Resolve((1,)), Resolve((0,)), *ask(500, 500), Ask(), threshold=2
    )
    both = Service(endpoints=2, dns=(0,), outlier=outlier(1))
    yield Scenario(
        name="dns-of-the-fallback",
        primary=Service(outlier=outlier(1)),
        fallback=both,
        steps=(*ask(500), Ask(), Resolve("NXDOMAIN", "fallback"), Ask(), Resolve((1,), "fallback"), Ask(2)),
    )
    never = Service(endpoints=1, dns=())
    yield Scenario(name="dns-never-any", primary=never, fallback=Service(), steps=(Ask(2),))


def _providers() -> Iterator[Scenario]:
    third, other = Request(service="third"), Request(service="fallback")
    strict = Service(outlier=outlier(1))
    yield Scenario(
        name="three-providers",
        primary=strict,
        fallback=strict,
        others={"third": Service(outlier=outlier(2))},
        steps=(
            *(*ask(500), Ask(), Ask(1, third), Ask(1, other)),
            *(Say(500, "third"), Ask(1, third), Ask(1, third), Ask(1, third)),
            *(Ask(), Say(500, "fallback"), Ask(1, other), Ask(1, other), Ask()),
        ),
        llm=True,
    )
    yield Scenario(
        name="a-fallback-called-by-itself",
        primary=strict,
        fallback=strict,
        steps=(Say(500, "fallback"), Ask(1, other), Ask(), *ask(500), Ask(), Say(200), Ask(1, other)),
    )
    chain: Any = {"route": [{"destination": {"host": "primary"}, "fallback": {"target": {"host": "third"}}}]}
    yield Scenario(
        name="a-fallback-to-the-third",
        primary=strict,
        fallback=strict,
        others={"third": strict},
        http=(chain,),
        steps=(*ask(500), Ask(2), Say(Fault.REFUSE, "third"), Ask(), Ask(), Ask(1, other), Ask(1, third)),
    )
    steps = (
        Say(Fault.REFUSE),
        Ask(),
        Ask(),
        Say(503, "third"),
        Ask(1, third),
        Ask(1, third),
        Say(200),
        Ask(),
    )
    yield Scenario(name="third-has-no-rule", primary=strict, others={"third": strict}, steps=steps)


GROUPS = (_balancers, _hashing, _dns, _providers)
