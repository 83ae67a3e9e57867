"""Validation says what is wrong, whatever is written."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_fallback.config import documents
from llm_fallback.config.findings import Finding
from llm_fallback.config.validate import validate
from llm_fallback.resources import KINDS
from tests.config.istio import findings

TO = {"destination": {"host": "a.com", "port": {"number": 80}, "subset": "a"}}
WAYS = {"exact": "a"}
SPECS: dict[str, Any] = {
    "LLMProvider": {
        "host": "a.com",
        "path": "/v1/chat/completions",
        "workloadSelector": {"labels": {"app": "a"}},
        "configs": {
            "defaultConfig": {"openAIConfig": {"model": "a", "stream": True, "apiKey": "k"}},
            "routeSpecificConfigs": {"vip": {"openAIConfig": {"model": "b"}}},
        },
    },
    "LLMRoute": {
        "host": "a.com",
        "gateways": ["mesh"],
        "rules": [
            {
                "name": "vip",
                "matches": [{"headers": {"a": WAYS}, "sourceLabels": {"a": "b"}, "gateways": ["mesh"]}],
                "backendRefs": [{"providerHost": "b.com", "weight": 1, "hostRewrite": "c.com"}],
            }
        ],
    },
    "VirtualService": {
        "hosts": ["a.com"],
        "gateways": ["mesh"],
        "exportTo": ["."],
        "http": [
            {
                "name": "a",
                "match": [
                    {
                        "uri": {"regex": "a.*"},
                        "headers": {"a": WAYS},
                        "queryParams": {"a": WAYS},
                        "sourceLabels": {"a": "b"},
                        "port": 80,
                    }
                ],
                "route": [TO | {"weight": 1, "fallback": {"target": {"host": "b.com"}, "case": "x"}}],
                "rewrite": {"uriRegexRewrite": {"match": "a", "rewrite": "b"}},
                "timeout": "10s",
                "retries": {"attempts": 2, "perTryTimeout": "2s", "retryOn": "5xx,503"},
                "fault": {"abort": {"httpStatus": 500, "percentage": {"value": 1}}},
                "mirrors": [{"destination": {"host": "c.com"}, "percentage": {"value": 1}}],
                "corsPolicy": {"allowOrigins": [WAYS], "allowMethods": ["GET"], "maxAge": "1s"},
                "headers": {"request": {"set": {"a": "b"}, "remove": ["c"]}},
            },
            {"directResponse": {"status": 200, "body": {"bytes": "aGk="}}},
            {"redirect": {"uri": "/a", "derivePort": "FROM_REQUEST_PORT", "redirectCode": 301}},
        ],
    },
    "DestinationRule": {
        "host": "*.a.com",
        "exportTo": ["."],
        "workloadSelector": {"matchLabels": {"a": "b"}},
        "trafficPolicy": {
            "tls": {"mode": "MUTUAL", "clientCertificate": "a", "privateKey": "b", "subjectAltNames": ["c"]},
            "outlierDetection": {"consecutive5xxErrors": 1, "outlierDetectionHttpErrorCodes": [500]},
            "portLevelSettings": [{"port": {"number": 80}, "loadBalancer": {"simple": "RANDOM"}}],
            "connectionPool": {"tcp": {"connectTimeout": "1s"}, "http": {"idleTimeout": "0s"}},
            "loadBalancer": {
                "consistentHash": {"httpCookie": {"name": "a", "ttl": "0s"}, "maglev": {"tableSize": 7}},
                "warmup": {"duration": "1s", "aggression": 1.5},
            },
        },
        "subsets": [{"name": "a", "labels": {"a": "b"}}],
    },
    "ServiceEntry": {
        "hosts": ["a.com"],
        "addresses": ["10.0.0.0/8"],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 8080}],
        "resolution": "STATIC",
        "endpoints": [{"address": "1.1.1.1", "ports": {"http": 81}, "labels": {"a": "b"}, "weight": 1}],
        "subjectAltNames": ["a.com"],
    },
}


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


PLACES = [(kind, path) for kind, spec in SPECS.items() for path in places(spec)]
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([5000]).map(lambda digits: 10**digits)  # more than Python writes in decimal
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["*", "*.a.com", "0s", "-1s", "(", "unix://", "%", "MUTUAL", "a" * 2000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def replaced(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    """The value with something else at a place."""
    if not path:
        return new
    result = copy.deepcopy(value)
    inner = result
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = new
    return result


def judged(kind: str, spec: Any) -> list[Finding]:
    resource = {
        "apiVersion": KINDS[kind].API_VERSIONS[0],
        "kind": kind,
        "metadata": {"name": "a"},
        "spec": spec,
    }
    (document,) = documents.parse("a.yaml", b"{kind: a, apiVersion: b}").documents
    document.value.update(resource)
    result = validate(KINDS[kind], document)
    return result if isinstance(result, list) else []


@pytest.mark.parametrize("kind", SPECS)
def test_the_examples_are_in_order(kind: str) -> None:
    """So that what is found below is found because of the change."""
    assert judged(kind, SPECS[kind]) == []


@given(st.sampled_from(PLACES), ANYTHING)
def test_anything_anywhere(place: tuple[str, tuple[str | int, ...]], value: Any) -> None:
    """Accepted, or said to be wrong in printable lines; never an exception."""
    kind, path = place

    for finding in judged(kind, replaced(SPECS[kind], path, value)):
        assert finding.field == "spec" or finding.field.startswith("spec.")
        assert str(finding).isprintable()


@pytest.mark.parametrize("overlap", [False, True])
def test_many_hosts_are_compared_in_no_time(overlap: bool) -> None:  # noqa: FBT001
    """The effort grows with their number, not with its square."""
    hosts = [f"{number}.a{number}.b.com" for number in range(20_000)] + ["*.b.com"] * overlap

    found = findings("VirtualService", {"hosts": hosts, "http": [{"route": [TO]}]})

    assert [finding.field for finding in found] == ["spec.hosts[20000]"] * overlap


def test_weights_that_sum_to_nothing_are_judged_with_the_whole() -> None:
    """A model takes them, so that the finding can say more than that a value is wrong."""
    to = {"destination": {"host": "a.com"}, "weight": 0}

    assert findings("VirtualService", {"hosts": ["a.com"], "http": [{"route": [to, to]}]}) == []


def test_what_a_cluster_adds_is_of_no_interest() -> None:
    """Neither status nor managed fields, nor what kubectl and Helm leave behind."""
    added = {
        "uid": "1",
        "resourceVersion": "2",
        "generation": 3,
        "creationTimestamp": None,
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"a": 1})},
        "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
    }

    assert findings("ServiceEntry", {"hosts": ["a.com"]}, **added) == []
    assert findings("ServiceEntry", {"hosts": ["a.com"]}, annotations=None) == []
