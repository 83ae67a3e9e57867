"""`llm-fallback script`: where mitmproxy finds the addon."""

import argparse
import sys

from llm_fallback.cli.frontend import ADDON


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("script", help="print the path to give to mitmproxy's -s option")
    parser.set_defaults(run=_run)


def _run(_options: argparse.Namespace) -> int:
    sys.stdout.write(f"{ADDON}\n")
    return 0
