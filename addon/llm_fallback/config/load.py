"""The way in: from paths and an environment to a snapshot and findings."""

import gc
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from llm_fallback.config import documents, harmless
from llm_fallback.config.checks import check
from llm_fallback.config.collection import Collection, Collector, Name
from llm_fallback.config.compile import build
from llm_fallback.config.empties import without_empties
from llm_fallback.config.files import Source, read_files
from llm_fallback.config.findings import Code, Finding, Severity, has_errors, in_order
from llm_fallback.config.snapshot import Snapshot
from llm_fallback.config.validate import Written, kind_of, validate
from llm_fallback.resources import DestinationRule, LLMRoute, Resource, VirtualService

_ALONE = frozenset({"add", "apiKey", "bytes", "model", "set", "string"})
"""Fields whose value nothing else in a configuration depends on."""

MAX_RESOURCE_VALUES = 100_000
"""Values in one resource, aliases counted each time: more than fit into a Kubernetes object."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of reading a configuration; the snapshot is None if there is an error among the findings.

    `findings` are in the order of their places. `files` and `resources` are how many there were for us.
    """

    snapshot: Snapshot | None
    findings: tuple[Finding, ...]
    files: int = 0
    resources: int = 0


def load(
    paths: Sequence[Path],
    environment: Mapping[str, str],
    workload: dict[str, str] | None = None,
    *,
    stdin: BinaryIO | None = None,
) -> Loaded:
    """Read, check and compile files and folders: their YAML and JSON files, not their sub-folders.

    `workload` holds the labels of the workload that the proxy stands for. With `stdin`, the path `-` is that.
    What the files hold never raises.
    """
    with _collector_paused():
        return _load(paths, environment, workload, stdin)


def _load(
    paths: Sequence[Path],
    environment: Mapping[str, str],
    workload: dict[str, str] | None,
    stdin: BinaryIO | None,
) -> Loaded:
    reading = _Reading(environment, workload)
    for source in read_files(paths, stdin):
        if isinstance(source, Finding):
            reading.findings.append(source)
            reading.is_cut = True
        else:
            reading.read(source)
    collection = reading.collector.collection()
    findings = [*reading.findings, *reading.skipped_kinds(paths)]
    findings.extend(harmless.rules_for_nobody(reading.collector.unsupported_rules, collection))
    if not has_errors(findings):
        findings.extend(_nothing_to_do(paths, collection))
    if not reading.is_cut:  # what is said to be missing may be in what could not be read
        findings.extend(check(collection, workload))
    snapshot = None if has_errors(findings) else build(collection, workload)
    return Loaded(snapshot, in_order(findings), reading.files, len(reading.collector.resources))


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Python's garbage collector would look at every value again and again: half the time of a large load.

    Little of what a load leaves behind is for the collector; it is freed when its last name goes.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass(slots=True)
class _Reading:
    """Takes in one file after the other."""

    environment: Mapping[str, str]
    workload: dict[str, str] | None
    collector: Collector = field(default_factory=Collector)
    findings: list[Finding] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    files: int = 0
    is_cut: bool = False
    """Whether something could not be read to its end."""

    def read(self, source: Source) -> None:
        """Take in the resources of a file."""
        parsed = documents.parse(source.name, source.text)
        self.files += 1
        self.is_cut |= parsed.is_cut
        self.findings.extend(parsed.findings)
        for document in parsed.documents:
            kind = kind_of(document, self.workload)
            if isinstance(kind, Finding) and not document.is_broken:
                self.findings.append(kind)
            if kind is None:
                if not document.is_broken:
                    self.skipped[document.name.partition("/")[0]] += 1
            elif document.is_broken or isinstance(kind, Finding):
                _note_broken(kind, document, self.collector)
            elif document.layout.size > MAX_RESOURCE_VALUES:
                problem = f"has more than {MAX_RESOURCE_VALUES} values, aliases counted each time"
                self.findings.append(document.finding((), problem, "split it", Code.TOO_LARGE))
                self.is_cut = True
            else:
                self.findings.extend(_take_in(kind, document, self.environment, self.collector))

    def skipped_kinds(self, paths: Sequence[Path]) -> Iterator[Finding]:
        """One line for all that is not for us."""
        if self.skipped:
            count = self.skipped.total()
            what = "resource of another kind was" if count == 1 else "resources of other kinds were"
            problem = f"{count} {what} skipped"
            kinds = ", ".join(sorted(self.skipped))
            yield Finding(_all(paths), None, "", "", problem, kinds, Code.SKIPPED, Severity.INFO)


def _take_in(
    kind: type[Resource], document: documents.Document, environment: Mapping[str, str], collector: Collector
) -> Iterator[Finding]:
    expanded, missing = documents.expand(document, environment)
    yield from missing
    expanded, empties = without_empties(kind, expanded)
    yield from empties
    validated: Written[Any] | list[Finding] | None = validate(kind, expanded)
    if kind in (LLMRoute, VirtualService) and isinstance(validated, list):
        validated, noted = harmless.remainder(expanded, validated)
        yield from noted
    if isinstance(validated, Written) and all(_ALONE.intersection(f.field.split(".")) for f in missing):
        collector.resources.append(validated)
        return
    if validated is None or isinstance(validated, Written):
        _note_broken(kind, expanded, collector)
        return
    if kind is DestinationRule and not missing and harmless.are_unsupported(validated):
        collector.unsupported_rules.append((expanded, validated))
        _note_broken(kind, expanded, collector)
        return
    reported = {(finding.line, finding.field) for finding in missing}
    yield from (finding for finding in validated if (finding.line, finding.field) not in reported)
    _note_broken(kind, expanded, collector)


def _note_broken(kind: type[Resource] | Finding, document: documents.Document, collector: Collector) -> None:
    """Note what a broken resource may have been meant to be and to describe: others are not to blame."""
    if (name := _name(document.value)) is not None:
        collector.broken_names.add(name)
    spec = document.value.get("spec")
    if not isinstance(spec, dict):
        return
    hosts = spec.get("hosts")
    named = {
        host.lower()
        for host in (spec.get("host"), *(hosts if isinstance(hosts, list) else []))
        if isinstance(host, str)
    }
    if kind is DestinationRule or isinstance(kind, Finding):
        collector.broken_rule_hosts |= named
    if kind not in (DestinationRule, LLMRoute, VirtualService):
        collector.broken_hosts |= named


def _name(value: Mapping[str, Any]) -> Name | None:
    metadata = value.get("metadata")
    if not isinstance(metadata, dict):
        return None
    parts = value.get("kind"), metadata.get("namespace", "default"), metadata.get("name")
    kind, namespace, name = (part if isinstance(part, str) else "" for part in parts)
    return kind, namespace, name


def _nothing_to_do(paths: Sequence[Path], collection: Collection) -> Iterator[Finding]:
    if not collection.ports_of:
        problem = "no LLMProvider or ServiceEntry: nothing to manage"
        hint = "name the files or folders with the mesh's YAML"
        has_some = any(collection.all()) or bool(collection.broken_names)
        if has_some:
            problem = "no LLMProvider or ServiceEntry: no host can be reached"
            hint = "name the files or folders that describe the hosts, too"
        severity = Severity.WARNING if has_some else Severity.ERROR
        yield Finding(_all(paths), None, "", "", problem, hint, Code.NO_CONFIGURATION, severity)


def _all(paths: Sequence[Path]) -> str:
    return ",".join(map(str, paths))
