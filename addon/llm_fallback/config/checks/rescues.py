"""Whether LLMFallbackPolicies are for something, and whether what they say can happen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from llm_fallback.config.checks.configuration import Configuration, WrittenRules
from llm_fallback.config.checks.names import did_you_mean
from llm_fallback.config.collection import name_of
from llm_fallback.config.compile.rescue import link
from llm_fallback.config.destination import Destination
from llm_fallback.config.documents import Path
from llm_fallback.config.findings import Code, Finding, Severity
from llm_fallback.config.snapshot import TargetKey
from llm_fallback.config.validate import Written
from llm_fallback.resources import LLMFallbackPolicy
from llm_fallback.resources.llmfallbackpolicy import LLMFallbackPolicySpec, TargetKind, TargetRef

type _Policy = Written[LLMFallbackPolicy]
type _Targets = frozenset[TargetKey]

_CHAIN = ("spec", "chain")


@dataclass(frozen=True, slots=True)
class _Attachment:
    """What one of a policy's targetRefs names."""

    policy: _Policy
    path: Path
    ref: TargetRef
    target: Written[Any] | None

    @property
    def namespace(self) -> str:
        return self.policy.resource.metadata.namespace


def targets_exist(configuration: Configuration) -> Iterator[Finding]:
    """Every targetRef names a resource of the policy's namespace."""
    known = [name_of(written.resource) for written in configuration.collection.all()]
    for at in _attachments(configuration):
        kind, namespace, name = at.ref.kind.value, at.namespace, at.ref.name
        if at.target or (kind, namespace, name) in configuration.collection.broken_names:
            continue
        near = [other for k, n, other in known if (k, n) == (kind, namespace)]
        elsewhere = next((n for k, n, other in known if (k, other) == (kind, name)), None)
        hint = did_you_mean(name, near[:100]) or "correct the name, or remove it"
        if elsewhere:
            hint = f"there is one in {elsewhere}; a policy is for its own namespace"
        problem = f"there is no {kind} of this name in namespace {namespace}"
        yield at.policy.finding((*at.path, "name"), problem, hint, Code.UNKNOWN_TARGET)


def sections_exist(configuration: Configuration) -> Iterator[Finding]:
    """Every sectionName is the name of a rule."""
    for at in _attachments(configuration):
        section = at.ref.section_name
        if not at.target or not section:
            continue
        names = [rule.name for rule in _rules(at.target)]
        if section not in names:
            problem = f"{at.target.document.name} has no rule of this name"
            hint = did_you_mean(section, names[:100]) or "name the rule so, or correct the name"
            yield at.policy.finding((*at.path, "sectionName"), problem, hint, Code.UNKNOWN_RULE)


def policies_rescue_something(configuration: Configuration) -> Iterator[Finding]:
    """Each targetRef leads to rules that send requests on and have no narrower policy."""
    own = {
        (at.ref.kind, at.namespace, at.ref.name, at.ref.section_name) for at in _attachments(configuration)
    }
    for at in _attachments(configuration):
        if not at.target:
            continue
        if at.ref.kind is TargetKind.LLM_PROVIDER:
            reason = _why_not_for_host(configuration, at.target.resource.spec.host)
        else:
            place = (at.ref.kind, at.namespace, at.ref.name)
            with_own = {rule.name for rule in _rules(at.target) if (*place, rule.name) in own}
            reason = _why_not_for_rules(configuration, at.target, at.ref.section_name, with_own)
        if reason:
            problem = f"has no effect: {reason}"
            yield at.policy.finding(at.path, problem, "", Code.NO_EFFECT, Severity.WARNING)


def links_are_asked_once(configuration: Configuration) -> Iterator[Finding]:
    """No link of a chain repeats one before it, nor what all rules under the policy ask before it."""
    for policy in configuration.collection.policies:
        before = [set(places) for places in _orders(configuration, policy, with_chain=False)]
        seen: dict[_Targets, int] = {}
        for index, given in enumerate(policy.resource.spec.chain):
            targets = _targets(configuration, link(given).destination)
            first = seen.setdefault(targets, index) if targets else index
            if first != index:
                problem = f"repeats chain[{first}]: a target is asked once only"
            elif targets and before and all(targets in places for places in before):
                problem = "is what the rules ask anyway: a target is asked once only"
            else:
                continue
            hint = "remove it, or name another target"
            yield policy.finding((*_CHAIN, index), problem, hint, Code.FALLBACK_CYCLE, Severity.WARNING)


def weights_are_shared(configuration: Configuration) -> Iterator[Finding]:
    """A weight says how links that follow each other share a place."""
    for policy in configuration.collection.policies:
        numbered = enumerate(policy.resource.spec.chain)
        for has_weight, group in groupby(numbered, lambda pair: pair[1].weight is not None):
            (index, _), *others = group
            if has_weight and not others:
                problem = "has no effect: no link beside it has a weight"
                hint = "remove it, or give a weight to all that share a place"
                path = (*_CHAIN, index, "weight")
                yield policy.finding(path, problem, hint, Code.NO_EFFECT, Severity.WARNING)


def attempts_reach_every_target(configuration: Configuration) -> Iterator[Finding]:
    """There are attempts enough for the target of a rule, its fallback, and the chain."""
    for policy in configuration.collection.policies:
        attempts = policy.resource.spec.rescue.attempts
        orders = _orders(configuration, policy, with_chain=True)
        count = max((len(set(order) - {frozenset()}) for order in orders), default=0)
        if count > attempts:
            yield policy.finding(
                ("spec", "rescue", "attempts"),
                f"the last of {count} targets are asked only while others are ejected: there"
                f" {'is 1 attempt' if attempts == 1 else f'are {attempts} attempts'} at most",
                f"write {count} or more",
                Code.OUT_OF_REACH,
                Severity.INFO,
            )


def limits_come_before_the_deadline(configuration: Configuration) -> Iterator[Finding]:
    """What is to happen after some time happens before the whole is over."""
    for policy in configuration.collection.policies:
        spec = policy.resource.spec
        for path, milliseconds in _times(spec):
            if milliseconds > spec.rescue.deadline:
                problem = "never applies: rescue.deadline ends the request before"
                hint = "write a longer deadline, or a shorter time here"
                yield policy.finding(("spec", *path), problem, hint, Code.NO_EFFECT, Severity.WARNING)
        longest = max(spec.limits.response_headers, spec.limits.first_token)
        if spec.hedging and longest <= spec.hedging.delay <= spec.rescue.deadline:
            problem = (
                "never applies: by then limits.responseHeaders or limits.firstToken has ended the attempt"
            )
            path = ("spec", "hedging", "delay")
            yield policy.finding(path, problem, "write a shorter time", Code.NO_EFFECT, Severity.WARNING)


def budgets_allow_something(configuration: Configuration) -> Iterator[Finding]:
    """A budget of nothing rescues nothing."""
    for policy in configuration.collection.policies:
        budget = policy.resource.spec.budget
        if not budget.percent and not budget.minimum:
            yield policy.finding(
                ("spec", "budget"),
                "no request is rescued: it allows no attempt after the first",
                "write a percent or a minimum above 0",
                Code.NO_EFFECT,
                Severity.WARNING,
            )


def _attachments(configuration: Configuration) -> Iterator[_Attachment]:
    by_name = {name_of(written.resource): written for written in configuration.collection.all()}
    for policy in configuration.collection.policies:
        namespace = policy.resource.metadata.namespace
        for index, ref in enumerate(policy.resource.spec.target_refs):
            target = by_name.get((ref.kind.value, namespace, ref.name))
            yield _Attachment(policy, ("spec", "targetRefs", index), ref, target)


def _rules(target: Written[Any]) -> Sequence[Any]:
    match target.resource.kind:
        case TargetKind.VIRTUAL_SERVICE:
            return target.resource.spec.http  # type: ignore[no-any-return]
        case TargetKind.LLM_ROUTE:
            return target.resource.spec.rules  # type: ignore[no-any-return]
        case _:
            return ()


def _sending(rules: WrittenRules) -> list[Any]:
    """The rules that are for this proxy and send requests on."""
    written = _rules(rules.written)
    is_llm_route = rules.written.resource.kind == TargetKind.LLM_ROUTE
    return [
        rule
        for rule, matches in zip(written, rules.matches, strict=True)
        if matches is not None and (is_llm_route or rule.route)
    ]


def _why_not_for_host(configuration: Configuration, host: str) -> str | None:
    """Why a provider's policy is for no request."""
    rules = configuration.rules_for(host)
    if rules is None:
        return None
    kind = TargetKind(rules.written.resource.kind)
    name = rules.written.document.name
    sending = _sending(rules)
    if not sending:
        return f"no rule in {name}, which has the rules for the host, sends requests on"
    if all(configuration.rescues.of_rule(kind, rules.written, rule.name) for rule in sending):
        return f"{name} has the rules for the host, and each of them has a policy of its own"
    return None


def _why_not_for_rules(
    configuration: Configuration, target: Written[Any], section: str | None, with_own: set[str]
) -> str | None:
    """Why the policy of a VirtualService or LLMRoute, or of a section of it, is for no request."""
    rules = configuration.rules_in(target)
    name = target.document.name
    if rules is None:
        return f"{name} is for gateways"
    if not any(configuration.rules_for(host) is rules for host in rules.hosts):
        return f"{name} has no effect itself"
    sending = [rule.name for rule in _sending(rules)]
    if section:
        exists = any(rule.name == section for rule in _rules(target))
        return "the rule sends no requests on" if exists and section not in sending else None
    if not sending:
        return f"no rule in {name} sends requests on"
    if with_own.issuperset(sending):
        return f"every rule in {name} has a policy of its own"
    return None


def _orders(configuration: Configuration, policy: _Policy, *, with_chain: bool) -> Iterator[list[_Targets]]:
    """For each place that requests go to under a policy: that, its fallback, and the chain, in order."""
    links = [link(given).destination for given in policy.resource.spec.chain] if with_chain else []
    for use in configuration.rescued.get(policy.place, ()):
        fallback = [use.fallback] if use.fallback else []
        yield [_targets(configuration, place) for place in (use.destination, *fallback, *links)]


def _targets(configuration: Configuration, destination: Destination) -> _Targets:
    return frozenset(target.key for target in configuration.targets_at(destination))


def _times(spec: LLMFallbackPolicySpec) -> Iterator[tuple[Path, int]]:
    """What was written of the times that are within the deadline."""
    if "response_headers" in spec.limits.model_fields_set:
        yield ("limits", "responseHeaders"), spec.limits.response_headers
    if "first_token" in spec.limits.model_fields_set:
        yield ("limits", "firstToken"), spec.limits.first_token
    if spec.rescue.unless_slower_than is not None:
        yield ("rescue", "unlessSlowerThan"), spec.rescue.unless_slower_than
    if spec.hedging:
        yield ("hedging", "delay"), spec.hedging.delay
    yield ("rescue", "backoff"), spec.rescue.backoff
