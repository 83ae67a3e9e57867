"""The command line: the same core without a proxy."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from llm_fallback.config import Severity, load

_SCRIPT = Path(__file__).parent / "mitm" / "addon.py"

EXIT_CLEAN, EXIT_FINDINGS = 0, 1  # argparse itself exits with 2 on bad usage


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = _parser().parse_args(arguments)
    match options.command:
        case "check":
            return _check(options.files or [Path("config")])
        case "script":
            sys.stdout.write(f"{_SCRIPT}\n")
            return EXIT_CLEAN
        case command:
            raise AssertionError(command)


def _check(paths: list[Path]) -> int:
    """Print all findings; only errors and warnings make it fail."""
    findings = load(paths, os.environ).findings
    for finding in findings:
        sys.stdout.write(f"{finding}\n")
    serious = [finding for finding in findings if finding.severity is not Severity.INFO]
    sys.stderr.write(f"{len(serious)} problems\n")
    return EXIT_FINDINGS if serious else EXIT_CLEAN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llm-fallback", description="LLM fallback from the mesh's own YAML."
    )
    parser.add_argument("--version", action="version", version=version("asm-llm-fallback"))
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="say what is wrong with a configuration")
    check.add_argument(
        "-f",
        dest="files",
        metavar="PATH",
        type=Path,
        nargs="+",
        action="extend",
        help="files or folders of YAML (default: config)",
    )
    commands.add_parser("script", help="print the path to give to mitmproxy's -s option")
    return parser
