"""What the checks of the whole configuration say about texts, without the findings of anything else."""

from llm_fallback.config import documents
from llm_fallback.config.checks import check
from llm_fallback.config.collection import Collector
from llm_fallback.config.findings import Finding, in_order
from llm_fallback.config.validate import Written, kind_of, validate
from tests.config.written import entry, rule

EJECTS = "outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100}"
"""A detector that can eject a lone endpoint."""

DETECTED = f"{{{EJECTS}}}"
"""A trafficPolicy with it."""

A, B, C = (entry(f"{name}.com", name=name) for name in "abc")
A_EJECTS, B_EJECTS = (rule(f"{name}.com", name=name, trafficPolicy=DETECTED) for name in "ab")


def findings(text: str, *, workload: dict[str, str] | None = None) -> tuple[Finding, ...]:
    """The findings about resources that are valid each by itself."""
    collector = Collector()
    parsed = documents.parse("a.yaml", text.encode())
    assert not parsed.findings
    for document in parsed.documents:
        kind = kind_of(document)
        assert isinstance(kind, type), kind
        written = validate(kind, document)
        assert isinstance(written, Written), [str(finding) for finding in written]
        collector.resources.append(written)
    return in_order(check(collector.collection(), workload))


def said(text: str, *, workload: dict[str, str] | None = None) -> list[str]:
    """The findings, as `resource: severity: field: problem (hint) [code]`."""
    return [
        f"{f.resource}: {f.severity.value}: {f.field}: {f.problem}{f' ({f.hint})' if f.hint else ''}"
        f" [{f.code}]"
        for f in findings(text, workload=workload)
    ]


def codes(text: str, *, workload: dict[str, str] | None = None) -> list[str]:
    """The codes and fields of the findings."""
    return [f"{f.code} {f.field}" for f in findings(text, workload=workload)]


def llm_route(host: str = "a.com", *, rules: str, name: str = "r", more: str = "") -> str:
    """An LLMRoute."""
    return (
        "---\napiVersion: istio.alibabacloud.com/v1beta1\nkind: LLMRoute\n"
        f"metadata: {{name: {name}}}\nspec:\n  host: {host}\n  rules: {rules}\n{more}"
    )
