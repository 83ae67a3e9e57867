"""Print the part of scripts/constraints.txt that `demo` or `dev` needs, as a pip requirements file.

pip refuses to take hashes from a constraints file (`-c`) for names that are not pinned themselves, so the
pinned lines have to be handed over as requirements. All of them would make a demo install the type checker
and the test tools; instead we follow the "# via" notes from the names in pyproject.toml.

Runs before anything is installed: standard library only.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("demo", "dev")


@dataclass(frozen=True, slots=True)
class Pinned:
    """One block of constraints.txt: a package, the lines that pin it and who asked for it."""

    name: str
    lines: tuple[str, ...]
    wanted_by: frozenset[str]


def normalised(name: str) -> str:
    """Return the name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(requirement: str) -> str:
    """Return the package a requirement such as `httpx[http2]>=0.28` is about."""
    return normalised(re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0])


def direct_names(pyproject: str, kind: str) -> frozenset[str]:
    """Return what pyproject.toml itself asks for: run time, build back end and extras."""
    settings = tomllib.loads(pyproject)
    project = settings["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    wanted = [*project["dependencies"], *settings["build-system"]["requires"]]
    for extra, requirements in extras.items():
        if kind in ("dev", extra):
            wanted += requirements
    return frozenset(map(name_of, wanted)) - {normalised(project["name"])}


def blocks_of(constraints: str) -> Iterator[list[str]]:
    """Yield the lines of each package; whatever stands before the first one is the header."""
    block: list[str] = []
    for line in constraints.splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            if block:
                yield block
            block = [line]
        elif block:
            block.append(line)
    if block:
        yield block


def parse(constraints: str) -> Iterator[Pinned]:
    """Yield each pinned package. A name comes twice where versions differ between Pythons."""
    for block in blocks_of(constraints):
        notes = " ".join(line.strip(" #") for line in block if line.startswith("    #"))
        wanted_by = frozenset(map(name_of, notes.removeprefix("via ").split()))
        lines = tuple(line for line in block if not line.lstrip().startswith("#"))
        yield Pinned(name_of(block[0]), lines, wanted_by)


def needed(pinned: tuple[Pinned, ...], direct: frozenset[str]) -> frozenset[str]:
    """Return the direct names and everything they want, and so on."""
    names = direct
    while True:
        more = names | {package.name for package in pinned if package.wanted_by & names}
        if more == names:
            return names
        names = more


def select(pyproject: str, constraints: str, kind: str) -> tuple[str, ...]:
    """Return the requirement lines for one kind of environment; ValueError if a name is not pinned."""
    direct = direct_names(pyproject, kind)
    pinned = tuple(parse(constraints))
    missing = direct - {package.name for package in pinned}
    if missing:
        raise ValueError(
            f"not pinned in scripts/constraints.txt: {', '.join(sorted(missing))}; run scripts/constraints"
        )
    names = needed(pinned, direct)
    return tuple(line for package in pinned if package.name in names for line in package.lines)


def main(arguments: list[str]) -> int:
    """Print the selection; exit 1 with one sentence if the two files do not agree."""
    if len(arguments) != 1 or arguments[0] not in KINDS:
        print("usage: requirements.py demo|dev", file=sys.stderr)
        return 2
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    constraints = (ROOT / "scripts" / "constraints.txt").read_text(encoding="utf-8")
    try:
        lines = select(pyproject, constraints, arguments[0])
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
