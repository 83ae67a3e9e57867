"""What is not supported and cannot change what happens to a request: it is named, and is no error."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from llm_fallback.config.collection import Collection
from llm_fallback.config.documents import Document
from llm_fallback.config.findings import Code, Finding, Severity
from llm_fallback.config.validate import Written, validate
from llm_fallback.resources import VirtualService
from llm_fallback.resources.names import MESH, host_matches

type Unsupported = tuple[Document, Sequence[Finding]]
"""A resource all of whose findings say that something is not supported."""

_CODES = frozenset({Code.UNSUPPORTED_FIELD, Code.UNSUPPORTED_VALUE})


def are_unsupported(findings: Iterable[Finding]) -> bool:
    """Whether it is only our limits that they speak of."""
    return all(finding.code in _CODES for finding in findings)


def remainder(
    document: Document, findings: list[Finding]
) -> tuple[Written[Any] | list[Finding] | None, list[Finding]]:
    """What is left of a VirtualService or LLMRoute without what cannot act here, and what there is to note.

    Nothing is left of one for gateways, of a delegate, as it is the VirtualService that names it which is an
    error, and of one without HTTP rules, which takes no part in HTTP routing (its hosts keep Istio's own).
    """
    spec = document.value.get("spec")
    if not isinstance(spec, dict) or not are_unsupported(findings):
        return findings, []
    is_llm_route = document.value["kind"] == "LLMRoute"
    if _is_for_gateways(spec.get("gateways")) or not (is_llm_route or spec.get("hosts")):
        return None, _noted(findings)
    fields = {name for name in ("tcp", "tls", "dubbo") if name in spec}
    if spec.get("tls") and not _stays(spec["tls"], spec["hosts"]):
        fields.discard("tls")
    noted = [finding for finding in findings if finding.field in {f"spec.{name}" for name in fields}]
    if not noted:
        return findings, []
    rest = {key: value for key, value in spec.items() if key not in fields}
    if not rest.get("http") and "tls" not in rest:
        return None, _noted(noted)
    return validate(VirtualService, replace(document, value=document.value | {"spec": rest})), _noted(noted)


def rules_for_nobody(rules: Iterable[Unsupported], collection: Collection) -> Iterator[Finding]:
    """The findings about DestinationRules, which act on hosts that something describes, and on no others."""
    known = [*collection.ports_of, *collection.broken_hosts]
    for document, findings in rules:
        host = str(document.value["spec"].get("host")).lower()
        if any(host_matches(host, other) for other in known):
            yield from findings
            continue
        yield from _noted(findings)
        problem = "has no effect: no LLMProvider or ServiceEntry has this host"
        hint = "correct the name, or remove the rule"
        finding = document.finding(("spec", "host"), problem, hint, Code.UNKNOWN_HOST)
        yield replace(finding, severity=Severity.WARNING)


def _noted(findings: Iterable[Finding]) -> list[Finding]:
    return [replace(finding, hint="it has no effect here", severity=Severity.INFO) for finding in findings]


def _is_for_gateways(gateways: Any) -> bool:
    return isinstance(gateways, list) and bool(gateways) and MESH not in gateways


def _stays(rules: Any, hosts: Any) -> bool:
    """Whether TLS connections go where they would go without the rules: to the host and port they are for."""
    try:
        return all(
            [entry["destination"]["host"] for entry in rule["route"]] == hosts
            and "subset" not in rule["route"][0]["destination"]
            and _port(rule["route"][0]["destination"]) in (None, condition.get("port"))
            and condition["sniHosts"] == hosts
            for rule in rules
            for condition in rule["match"]
        )
    except (AttributeError, KeyError, TypeError):
        return False


def _port(destination: dict[str, Any]) -> Any:
    return destination["port"]["number"] if "port" in destination else None
