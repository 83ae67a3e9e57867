"""What came of a command's requests, in a line. Pure."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePath

from llm_fallback.local_replies import CUT
from llm_fallback.wording import counted

# As story.handled and story.ejected have it; the results are those of story.result.
_HANDLED = re.compile(
    r"(?P<host>\S+) \S+ -> (?P<target>\S+)(?P<instead> instead of | after )?.*"
    r" \| (?P<status>no answer|\d{3})(?: (?P<flags>[A-Z,]+))?"
    r"(?P<error>, then an error in the stream,)? in \d+ ms$"
)
_EJECTED = re.compile(r"\bejected (?P<target>\S+) endpoint \S+ (?:for|until) ")
_NODES = frozenset({"node", "npm", "npx"})
_NODE = "; Node before 24 (22.21) does not read proxy variables"


def summary(log: Iterable[str], command: str = "") -> str:
    """How many requests there were, whom they fell back to, how many failed, and who was ejected.

    `command` is the program, as it was called: where no request came, it may be why.
    """
    total, failed, given_up = 0, 0, 0
    fell_back: Counter[str] = Counter()
    ejected: Counter[str] = Counter()
    for line in log:
        if handled := _HANDLED.search(line):
            total += 1
            if handled["status"] == "no answer":
                given_up += 1
            elif handled["status"] >= "500" or handled["error"] or _is_broken(handled["flags"]):
                failed += 1
            elif handled["instead"]:
                fell_back[handled["target"]] += 1
        elif found := _EJECTED.search(line):
            ejected[found["target"]] += 1
    if not total:
        return f"no request came to a managed host{_NODE if PurePath(command).name in _NODES else ''}"
    parts = [counted(total, "request")]
    parts += [f"{count} fell back to {target}" for target, count in fell_back.most_common()]
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{given_up} given up by the client"] if given_up else []
    parts += [f"{target} was ejected{_times(count)}" for target, count in ejected.most_common()]
    return ", ".join(parts)


def _is_broken(flags: str | None) -> bool:
    return not CUT.isdisjoint((flags or "").split(","))


def _times(count: int) -> str:
    return "" if count == 1 else f" {count} times"
