"""`llm-fallback check`: all findings about a configuration."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from llm_fallback.config import Finding, Loaded, Severity, load
from llm_fallback.config.findings import Code
from llm_fallback.config.workload import parse_labels
from llm_fallback.wording import counted, did_you_mean

_DESCRIPTION = """\
Read, check and compile a configuration as the proxy would, and print a line for each finding:

  file:line: Kind/name: field: problem (hint) [code]

A warning or an info says that it is one, after the place. With -o json: an array of objects with file, line
(or null), resource, field, problem, hint, code and severity (error, warning, info). docs/findings.md explains
each code. Exit status: 0 if there is neither an error nor a warning, 1 if there is, 2 for bad usage.
Warnings and infos of a code that is accepted are counted only; an error cannot be accepted."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "check",
        help="say what is wrong with a configuration",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_files(parser)
    add_workload(parser)
    parser.add_argument("-o", dest="output", choices=("text", "json"), default="text", help="default: text")
    parser.add_argument(
        "--accept",
        dest="accepted",
        type=_code,
        action="append",
        default=[],
        metavar="CODE",
        help="a code whose warnings and infos are known and meant; may be repeated",
    )
    parser.set_defaults(run=_run)


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the configuration."""
    parser.add_argument(
        "-f",
        dest="files",
        metavar="PATH",
        type=Path,
        nargs="+",
        action="extend",
        help="files or folders of YAML or JSON, not their sub-folders; - for standard input "
        "(default: config)",
    )


def add_workload(parser: argparse.ArgumentParser) -> None:
    """Add the option that says for whom the configuration is; None where nobody does."""
    parser.add_argument(
        "--workload",
        type=_labels,
        metavar="LABELS",
        help="of the workload that the proxy stands for, such as app=sleep,version=v1",
    )


def load_files(options: argparse.Namespace) -> Loaded:
    """The configuration that the options name."""
    return load(options.files or [Path("config")], os.environ, options.workload, stdin=sys.stdin.buffer)


def _labels(written: str) -> dict[str, str] | None:
    try:
        return parse_labels(written)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _code(written: str) -> Code:
    try:
        return Code(written)
    except ValueError:
        hint = did_you_mean(written, Code) or "docs/findings.md has all of them"
        raise argparse.ArgumentTypeError(f"no code is called {written!r}; {hint}") from None


def _run(options: argparse.Namespace) -> int:
    loaded = load_files(options)
    found = [
        finding
        for finding in loaded.findings
        if finding.severity is Severity.ERROR or finding.code not in options.accepted
    ]
    if options.output == "json":
        sys.stdout.write(json.dumps([asdict(finding) for finding in found], indent=2) + "\n")
    else:
        write(found)
    sys.stderr.write(f"{_summary(loaded, found)}\n")
    return int(any(finding.severity is not Severity.INFO for finding in found))


def write(findings: Sequence[Finding]) -> None:
    """Print them, whatever the terminal's character set."""
    encoding = sys.stdout.encoding or "utf-8"
    for finding in findings:
        sys.stdout.write(finding.with_severity.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def _summary(loaded: Loaded, found: Sequence[Finding]) -> str:
    severities = [finding.severity for finding in found]
    counts = [
        counted(severities.count(severity), severity) for severity in Severity if severity in severities
    ]
    if accepted := len(loaded.findings) - len(found):
        counts.append(f"{accepted} accepted")
    read = f"{counted(loaded.resources, 'resource')} in {counted(loaded.files, 'file')}"
    return f"{read}: {', '.join(counts) or 'nothing to report'}"
