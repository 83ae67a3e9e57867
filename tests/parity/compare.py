"""Whether two plays of a scenario came out the same, and if not, where."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, replace

from tests.parity.mesh import seconds
from tests.parity.scenario import Answer, Ask, Ejection, Record, Scenario, StepRecord

TOLERANCE_S = 0.25
"""By how much the length of an ejection may differ, besides one interval: each process has its own sweeps."""

ANSWER_TOLERANCE_S = 0.7
"""By how much the time until an answer may differ: back-off is random, and the machine may be busy."""

_NUMBER = re.compile(r"\b([a-z]+)-\d+")


def differences(scenario: Scenario, envoy: Record, ours: Record) -> list[str]:
    """What differs, one line each."""
    found: list[str] = []
    for number, (theirs, own) in enumerate(zip(envoy.steps, ours.steps, strict=True), 1):
        for what, a, b in _step(scenario, theirs, own):
            if a != b:
                found.append(f"step {number}, {theirs.step}: {what}: Envoy {a}, ours {b}")
    found += _refused(scenario, envoy, ours)
    return [*found, *_ejections(scenario, envoy.ejections, ours.ejections)]


def interval_s(scenario: Scenario, endpoint: str) -> float:
    """The interval of the endpoint's service."""
    outlier = scenario.services[endpoint.rpartition("-")[0]].outlier or {}
    return seconds(outlier.get("interval", "10s"))


def describe(scenario: Scenario, record: Record) -> str:
    """One play in a line: what the clients got, and the ejections."""
    answers = [answer for step in record.steps for answer in step.answers]
    runs: list[tuple[str, int]] = []
    for answer in answers:
        word = _short(answer)
        if runs and runs[-1][0] == word:
            runs[-1] = (word, runs[-1][1] + 1)
        else:
            runs.append((word, 1))
    said = " ".join(word if count == 1 else f"{word}*{count}" for word, count in runs)
    lengths = [
        "…" if ejection.seconds is None else f"{ejection.seconds:.1f}s" for ejection in record.ejections
    ]
    multiple = len(scenario.services) > 1 or scenario.primary.endpoints > 1
    names = [f"{e.endpoint[0]}{e.endpoint[-1]}:" if multiple else "" for e in record.ejections]
    ejected = " ".join(f"{name}{length}" for name, length in zip(names, lengths, strict=True))
    return f"{said} | {ejected or 'no ejection'}"


def _long(answer: Answer) -> str:
    headers = " ".join(f"{name}:{value}" if value else name for name, value in answer.headers)
    return f"{answer.status} {answer.body!r}{' cut' if answer.is_cut else ''} [{headers}]"


def _short(answer: Answer) -> str:
    if not answer.is_local:
        return f"{answer.body[:1]}{answer.status}{'✂' if answer.is_cut else ''}"
    return "UH" if answer.body == "no healthy upstream" else f"local{answer.status}"


def _step(scenario: Scenario, theirs: StepRecord, own: StepRecord) -> Iterator[tuple[str, object, object]]:
    a, b = ([_long(_anonymous(scenario, answer)) for answer in step.answers] for step in (theirs, own))
    if scenario.free_counts:
        yield "answers", set(a), set(b)
    elif scenario.free_choice or not isinstance(theirs.step, Ask):
        yield "answers", sorted(a), sorted(b)
    else:
        for before, after in zip(a, b, strict=True):
            yield "answer", before, after
    if not scenario.free_choice:
        seen, seen_here = (_requests(scenario, step) for step in (theirs, own))
        yield "requests seen", seen, seen_here
    if scenario.by_endpoint:
        counts, counts_here = (_counts(scenario, step) for step in (theirs, own))
        yield "requests by endpoint", counts, counts_here
    for slow, quick in zip(
        *(sorted(a.seconds for a in step.answers) for step in (theirs, own)), strict=False
    ):
        if abs(slow - quick) > ANSWER_TOLERANCE_S:
            yield "seconds until an answer", round(slow, 2), round(quick, 2)


def _counts(scenario: Scenario, step: StepRecord) -> Sequence[object]:
    """How many requests each endpoint saw; without its name where the balancer is free to choose."""
    counts = Counter(seen.endpoint for seen in step.seen)
    return sorted(counts.values()) if scenario.free_choice else sorted(counts.items())


def _requests(scenario: Scenario, step: StepRecord) -> list[tuple[object, ...]]:
    """What each service saw, in its order only where requests came one after the other."""
    found = []
    for seen in step.seen:
        headers = tuple(field for field in seen.headers if not (scenario.llm and field[0] == "host"))
        found.append(astuple(replace(seen, endpoint=_name(scenario, seen.endpoint), headers=headers)))
    return sorted(found, key=lambda seen: str(seen[0])) if isinstance(step.step, Ask) else sorted(found)


def _anonymous(scenario: Scenario, answer: Answer) -> Answer:
    """The answer without the endpoint's number, where the balancer is free to choose."""
    if scenario.same_ports or all(service.endpoints == 1 for service in scenario.services.values()):
        return answer
    return replace(answer, body=_NUMBER.sub(r"\1", answer.body))


def _by_service(scenario: Scenario, counts: Mapping[str, int]) -> Counter[str]:
    found: Counter[str] = Counter()
    for endpoint, count in counts.items():
        found[_name(scenario, endpoint)] += count
    return found


def _name(scenario: Scenario, endpoint: str) -> str:
    service = endpoint.rpartition("-")[0]
    return endpoint if scenario.same_ports or scenario.services[service].endpoints == 1 else service


def _refused(scenario: Scenario, envoy: Record, ours: Record) -> Iterator[str]:
    a, b = (_by_service(scenario, record.refused) for record in (envoy, ours))
    if a != b and not scenario.free_choice:
        yield f"connections refused: Envoy {dict(a)}, ours {dict(b)}"


def _key(scenario: Scenario, ejection: Ejection) -> tuple[str | int, ...]:
    step = 0 if scenario.free_choice else ejection.step
    return step, _name(scenario, ejection.endpoint), ejection.reason


def _ejections(scenario: Scenario, envoy: tuple[Ejection, ...], ours: tuple[Ejection, ...]) -> Iterator[str]:
    a, b = ([_key(scenario, ejection) for ejection in found] for found in (envoy, ours))
    if a != b:
        yield f"ejections: Envoy {a}, ours {b}"
        return
    for number, (theirs, own) in enumerate(zip(envoy, ours, strict=True), 1):
        allowed = TOLERANCE_S + interval_s(scenario, theirs.endpoint)
        if None in (theirs.seconds, own.seconds):
            same = theirs.seconds is own.seconds
        else:
            same = abs((theirs.seconds or 0) - (own.seconds or 0)) <= allowed
        if not same:
            yield f"ejection {number} lasts: Envoy {theirs.seconds}, ours {own.seconds}"
