"""Fields that not every version of the mesh knows, or that have a successor.

ASM's LLM fallback needs Istio 1.22 only. What is said here of versions is in Istio's change notes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from llm_fallback.config.checks.configuration import Configuration
from llm_fallback.config.documents import Path
from llm_fallback.config.findings import Code, Finding, Severity
from llm_fallback.resources.connectionpool import HTTPSettings
from llm_fallback.resources.destinationrule import OutlierDetection
from llm_fallback.resources.httpactions import CorsPolicy, Delay, HTTPRetry
from llm_fallback.resources.loadbalancer import ConsistentHash, LoadBalancerSettings, SimpleLb
from llm_fallback.resources.virtualservice import HTTPRoute


@dataclass(frozen=True, slots=True)
class _Fact:
    """What is to be said of a field wherever it is set; `value` narrows it to one value."""

    code: Code
    problem: str
    hint: str
    severity: Severity = Severity.INFO
    value: object = None


def _newer(version: str) -> _Fact:
    hint = "a mesh that is older ignores or refuses it; ASM's LLM fallback needs 1.22 only"
    return _Fact(Code.MESH_VERSION, f"is known to Istio {version}", hint)


def _deprecated(hint: str) -> _Fact:
    return _Fact(Code.DEPRECATED, "is deprecated", hint)


def _ignored(hint: str) -> _Fact:
    return _Fact(Code.NO_EFFECT, "has no effect", hint, Severity.WARNING)


_FACTS: Mapping[tuple[type[BaseModel], str], _Fact] = {
    (CorsPolicy, "allow_origin"): _deprecated("write allowOrigins, with exact"),
    (ConsistentHash, "minimum_ring_size"): _deprecated("write ringHash: {minimumRingSize: ...}"),
    (Delay, "percent"): _ignored("write percentage: {value: ...}"),
    (HTTPRetry, "backoff"): _newer("since 1.26"),
    (HTTPRetry, "retry_ignore_previous_hosts"): _newer("since 1.26"),
    (HTTPRetry, "retry_remote_localities"): _Fact(
        Code.NO_EFFECT, "has no effect here", "endpoints have no locality", value=True
    ),
    (HTTPRoute, "mirror_percent"): _deprecated("write mirrorPercentage: {value: ...}"),
    (HTTPSettings, "max_concurrent_streams"): _Fact(Code.NO_EFFECT, "has no effect here", "it is for HTTP/2"),
    (LoadBalancerSettings, "simple"): _Fact(
        Code.DEPRECATED, "LEAST_CONN is deprecated", "write LEAST_REQUEST", value=SimpleLb.LEAST_CONN
    ),
    (LoadBalancerSettings, "warmup"): _newer("since 1.24"),
    (LoadBalancerSettings, "warmup_duration_secs"): _deprecated(
        "from Istio 1.24 on, write warmup: {duration: ...}"
    ),
    (OutlierDetection, "consecutive_errors"): _ignored("write consecutive5xxErrors"),
    (OutlierDetection, "outlier_detection_http_error_codes"): _newer("after 1.30"),
}


def fields_are_of_the_version(configuration: Configuration) -> Iterator[Finding]:
    """Every field acts in the version of the mesh that people have, and is the one to write."""
    collection = configuration.collection
    for written in (*collection.destination_rules, *collection.virtual_services):
        for path, fact in _facts(written.resource.spec, ("spec",)):
            yield written.finding(path, fact.problem, fact.hint, fact.code, fact.severity)


def _facts(value: object, path: Path) -> Iterator[tuple[Path, _Fact]]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _facts(item, (*path, index))
    elif isinstance(value, BaseModel):
        fields = type(value).model_fields
        for name in fields:
            if name not in value.model_fields_set:
                continue
            inner, here = getattr(value, name), (*path, fields[name].alias or name)
            fact = _FACTS.get((type(value), name))
            if fact and inner is not None and fact.value in (None, inner):
                yield here, fact
            yield from _facts(inner, here)
