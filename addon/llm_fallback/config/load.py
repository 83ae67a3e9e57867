"""The way in: from paths and an environment to a snapshot and findings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm_fallback.config import documents
from llm_fallback.config.checks import check
from llm_fallback.config.collection import Collection, Collector
from llm_fallback.config.compile import build
from llm_fallback.config.findings import Finding, Severity, has_errors
from llm_fallback.config.snapshot import Snapshot
from llm_fallback.config.validate import Written, kind_of, validate
from llm_fallback.resources import DestinationRule, Resource, VirtualService

_SUFFIXES = frozenset({".yaml", ".yml", ".json"})


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of reading a configuration; the snapshot is None if there is an error among the findings."""

    snapshot: Snapshot | None
    findings: tuple[Finding, ...]


def load(
    paths: Sequence[Path], environment: Mapping[str, str], workload: dict[str, str] | None = None
) -> Loaded:
    """Read, check and compile files and folders: their YAML and JSON files, not their sub-folders.

    `workload` holds the labels of the workload that the proxy stands for. What the files hold never raises.
    """
    findings: list[Finding] = []
    collector = Collector()
    skipped = 0
    for file in _files(paths, findings):
        skipped += _read(file, environment, collector, findings)
    collection = collector.collection()
    if not has_errors(findings):
        findings.extend(_nothing_to_do(paths, collection))
    findings.extend(check(collection))
    if skipped:
        findings.append(_info(paths, f"{skipped} resources of other kinds were skipped"))
    if has_errors(findings):
        return Loaded(None, tuple(findings))
    return Loaded(build(collection, workload), tuple(findings))


def _files(paths: Sequence[Path], findings: list[Finding]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES and file.is_file())
            if not inside:
                findings.append(_problem(path, "holds no .yaml, .yml or .json file"))
            yield from inside
        elif path.exists():
            yield path
        else:
            findings.append(_problem(path, "does not exist"))


def _read(file: Path, environment: Mapping[str, str], collector: Collector, findings: list[Finding]) -> int:
    """Take in one file; returns how many of its documents are not for us."""
    try:
        text = file.read_bytes()
    except OSError as error:
        findings.append(_problem(file, f"cannot be read: {error.strerror}"))
        return 0
    parsed, problems = documents.parse(str(file), text)
    findings.extend(problems)
    skipped = 0
    for document in parsed:
        kind = kind_of(document)
        if isinstance(kind, Finding) and not document.is_broken:
            findings.append(kind)
        if kind is None:
            skipped += not document.is_broken
        elif document.is_broken or isinstance(kind, Finding):
            collector.broken_hosts |= _hosts_of(kind, document)
        else:
            findings.extend(_take_in(kind, document, environment, collector))
    return skipped


def _take_in(
    kind: type[Resource], document: documents.Document, environment: Mapping[str, str], collector: Collector
) -> Iterator[Finding]:
    expanded, missing = documents.expand(document, environment)
    yield from missing
    validated = validate(kind, expanded)
    if isinstance(validated, Written):
        collector.resources.append(validated)
        return
    reported = {(finding.line, finding.field) for finding in missing}
    yield from (finding for finding in validated if (finding.line, finding.field) not in reported)
    collector.broken_hosts |= _hosts_of(kind, expanded)


def _hosts_of(kind: type[Resource] | Finding, document: documents.Document) -> set[str]:
    """The hosts that a broken resource may have been meant to describe: routes to them are not to blame."""
    spec = document.value.get("spec")
    if not isinstance(spec, dict) or kind in (DestinationRule, VirtualService):
        return set()
    hosts = spec.get("hosts")
    named = [spec.get("host"), *(hosts if isinstance(hosts, list) else [])]
    return {host.lower() for host in named if isinstance(host, str)}


def _nothing_to_do(paths: Sequence[Path], collection: Collection) -> Iterator[Finding]:
    if not collection.ports_of:
        yield _problem(paths[0] if paths else Path(), "no LLMProvider or ServiceEntry: nothing to manage")


def _problem(path: Path, problem: str) -> Finding:
    hint = "set llm_config to the files or folders with the mesh's YAML"
    return Finding(str(path), None, "", "", problem, hint, "no-configuration")


def _info(paths: Sequence[Path], problem: str) -> Finding:
    return Finding(",".join(map(str, paths)), None, "", "", problem, "", "skipped", Severity.INFO)
