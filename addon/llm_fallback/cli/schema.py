"""`llm-fallback schema`: JSON Schema for editors."""

import argparse
import json
import sys

from llm_fallback.config.schema import schema_of_all, schema_of_kind
from llm_fallback.resources import KINDS


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "schema",
        help="print JSON Schema for editors",
        description="Print JSON Schema (draft 2020-12) of one kind, or one schema for files of all kinds:"
        " it chooses by apiVersion and kind.",
    )
    parser.add_argument(
        "kind", metavar="KIND", nargs="?", choices=sorted(KINDS), help=", ".join(sorted(KINDS))
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    schema = schema_of_kind(KINDS[options.kind]) if options.kind else schema_of_all()
    sys.stdout.write(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
    return 0
