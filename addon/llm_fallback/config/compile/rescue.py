"""From LLMFallbackPolicies to what rules have of them; the most specific policy counts."""

from typing import Any

from llm_fallback.config.collection import Collection
from llm_fallback.config.destination import Destination
from llm_fallback.config.rescue import Budget, Hedging, Limits, Link, RescuePolicy
from llm_fallback.config.validate import Written
from llm_fallback.resources.llmfallbackpolicy import ChainLink, LLMFallbackPolicySpec, TargetKind

type _Attachment = tuple[TargetKind, str, str, str | None]
"""Kind, namespace, name, and the rule's name."""


class Policies:
    """The policies of a configuration, by what they are attached to."""

    def __init__(self, collection: Collection) -> None:
        self._of: dict[_Attachment, RescuePolicy] = {}
        for written in collection.policies:
            metadata = written.resource.metadata
            policy = rescue_policy(written.resource.spec, name=metadata.name, source=written.place)
            for ref in written.resource.spec.target_refs:
                self._of.setdefault((ref.kind, metadata.namespace, ref.name, ref.section_name), policy)
        self._providers = collection.provider_of

    def of_rule(self, kind: TargetKind, written: Written[Any], rule: str) -> RescuePolicy | None:
        """The policy of a rule of a VirtualService or LLMRoute: its own, or the resource's."""
        own = self._attached(kind, written, rule) if rule else None
        return own or self._attached(kind, written, None)

    def of_host(self, host: str) -> RescuePolicy | None:
        """The policy of the LLMProvider with this host, for rules that have none of their own."""
        provider = self._providers.get(host)
        return self._attached(TargetKind.LLM_PROVIDER, provider, None) if provider else None

    def _attached(self, kind: TargetKind, written: Written[Any], rule: str | None) -> RescuePolicy | None:
        metadata = written.resource.metadata
        return self._of.get((kind, metadata.namespace, metadata.name, rule))


def rescue_policy(spec: LLMFallbackPolicySpec, *, name: str, source: str) -> RescuePolicy:
    """What a policy says, as it runs; `source` is where it is written."""
    words = spec.rescue.failures
    slower = spec.rescue.unless_slower_than
    return RescuePolicy(
        name=name,
        source=source,
        failures=frozenset(word for word in words if not word.isdigit()),
        codes=frozenset(int(word) for word in words if word.isdigit()),
        attempts=spec.rescue.attempts,
        deadline_s=spec.rescue.deadline / 1000,
        backoff_s=spec.rescue.backoff / 1000,
        unless_slower_than_s=None if slower is None else slower / 1000,
        chain=tuple(map(link, spec.chain)),
        limits=Limits(
            spec.limits.response_headers / 1000, spec.limits.first_token / 1000, spec.limits.stall / 1000
        ),
        max_retry_after_s=spec.rate_limit.max_retry_after / 1000,
        probation=spec.ejection.probation,
        slow_start_s=spec.ejection.slow_start / 1000,
        hold=spec.hold,
        hedging=Hedging(spec.hedging.delay / 1000) if spec.hedging else None,
        budget=Budget(spec.budget.percent, spec.budget.minimum),
        all_ejected=spec.all_ejected,
        max_request_bytes=spec.max_request_bytes,
        header_prefix=spec.headers.prefix or None,
    )


def link(given: ChainLink) -> Link:
    """A further target, and its weight."""
    port = given.port.number if given.port else None
    return Link(Destination(given.host, port, given.subset), given.weight)
