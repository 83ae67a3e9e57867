"""What came of a command's requests, in a line. Pure."""

import re
from collections import Counter
from collections.abc import Iterable

# As story.handled and story.ejected have it.
_HANDLED = re.compile(
    r"(?P<host>\S+) \S+ -> (?P<target>\S+)(?P<instead> instead of | after )?.*"
    r" \| (?P<status>no answer|\d{3})(?: [A-Z,]+)? in \d+ ms$"
)
_EJECTED = re.compile(r"\bejected (?P<target>\S+) endpoint \S+ for ")


def summary(log: Iterable[str]) -> str:
    """How many requests there were, whom they fell back to, how many failed, and who was ejected."""
    total, failed = 0, 0
    fell_back: Counter[str] = Counter()
    ejected: Counter[str] = Counter()
    for line in log:
        if handled := _HANDLED.search(line):
            total += 1
            failed += not handled["status"].isdigit() or handled["status"] >= "500"
            fell_back.update([handled["target"]] if handled["instead"] else [])
        elif found := _EJECTED.search(line):
            ejected.update([found["target"]])
    if not total:
        return "no request came to a managed host"
    parts = [f"{count} fell back to {target}" for target, count in fell_back.most_common()]
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{target} was ejected{_times(count)}" for target, count in ejected.most_common()]
    return ", ".join([_requests(total), *parts])


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count} requests"


def _times(count: int) -> str:
    return "" if count == 1 else f" {count} times"
