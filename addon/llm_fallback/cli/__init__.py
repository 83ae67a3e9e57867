"""The command line: the same core without a proxy. One module for each command."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from llm_fallback.cli import actions, check, env, explain, run, schema, script, status

_COMMANDS = (run, env, status, actions, check, explain, schema, script)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 clean, 1 findings or a failure, 2 bad usage."""
    options, unknown = _parser().parse_known_args(arguments)  # exits with 2 on bad usage
    if unknown:
        options.refuse(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        exit_status: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`| head`) has seen enough. Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return exit_status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llm-fallback", description="LLM fallback from the mesh's own YAML."
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_to(commands)
    for each in commands.choices.values():
        each.set_defaults(refuse=each.error)  # whose usage is the command's own
    return parser


def _version() -> str:
    try:
        return version("asm-llm-fallback")
    except PackageNotFoundError:  # run from a checkout
        return "not installed"
