"""Where an action acts: `HOST[:PORT][/SUBSET][@ENDPOINT]`. Pure."""

import re
from dataclasses import dataclass

from llm_fallback.config.snapshot import Snapshot, Target, TargetKey
from llm_fallback.outlier import Endpoint
from llm_fallback.overrides.errors import BadActionError, near
from llm_fallback.wording import some_of

_LONGEST = 1000

FORM = "HOST[:PORT][/SUBSET][@ADDRESS:PORT]"

_PLACE = re.compile(
    r"(?P<host>\[[^]/@]*\]|[^:/@\s]+)(?::(?P<port>\d{1,5}))?(?:/(?P<subset>[^@\s]+))?(?:@(?P<endpoint>\S+))?"
)
_ENDPOINT = re.compile(r"(?P<address>\[[^]]+\]|[^:]+):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class Place:
    """Targets of a host, or one endpoint of theirs; a port or a subset that is left out means all."""

    host: str
    port: int | None = None
    subset: str | None = None
    endpoint: Endpoint | None = None

    @classmethod
    def parse(cls, written: str) -> "Place":
        """The place as people write it; raises BadActionError."""
        parts = _PLACE.fullmatch(written.strip()) if len(written) <= _LONGEST else None
        if parts is None:
            raise BadActionError(f"{written[:_LONGEST]!r} is no place; write {FORM}")
        return cls(
            parts["host"].lower().removesuffix("."),
            int(parts["port"]) if parts["port"] else None,
            parts["subset"],
            _endpoint(parts["endpoint"]) if parts["endpoint"] else None,
        )

    def covers(self, key: TargetKey, endpoint: Endpoint | None = None) -> bool:
        """Whether a target, or an endpoint of it, is in this place."""
        host, port, subset = key
        return (
            self.host == host.lower()
            and self.port in (None, port)
            and self.subset in (None, subset)
            and (endpoint is None or self.endpoint in (None, endpoint))
        )

    def contains(self, other: "Place") -> bool:
        """Whether another place lies within this one."""
        return (
            self.host == other.host
            and self.port in (None, other.port)
            and self.subset in (None, other.subset)
            and self.endpoint in (None, other.endpoint)
        )

    def targets(self, snapshot: Snapshot) -> tuple[Target, ...]:
        """The targets that are in this place, at least one; raises BadActionError."""
        known = snapshot.targets()
        found = tuple(target for target in known if self.covers(target.key))
        if not found:
            wanted = Place(self.host, self.port, self.subset)
            raise BadActionError(_no_such_target(str(wanted), known))
        return found

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        subset = "" if self.subset is None else f"/{self.subset}"
        endpoint = "" if self.endpoint is None else f"@{self.endpoint}"
        return f"{self.host}{port}{subset}{endpoint}"


def place_of_targets(written: str) -> Place:
    """The place that is `HOST[:PORT][/SUBSET]`; raises BadActionError."""
    place = Place.parse(written)
    if place.endpoint:
        raise BadActionError(f"{written!r} is an endpoint; write its target, HOST[:PORT][/SUBSET]")
    return place


def single_target(written: str, snapshot: Snapshot) -> Target:
    """The one target that `HOST[:PORT][/SUBSET]` means; raises BadActionError for none and for several."""
    place = place_of_targets(written)
    found = place.targets(snapshot)
    exact = [target for target in found if str(target) == str(place)]
    if len(found) > 1 and not exact:
        raise BadActionError(f"{written} is not one target; there are {some_of([*map(str, found)])}")
    return (exact or found)[0]


def managed_host(written: str, snapshot: Snapshot) -> str:
    """The managed host that is meant, as requests have it; raises BadActionError."""
    host = written.strip().lower().removesuffix(".")
    if host and "*" not in host and snapshot.manages(host):
        return host
    known = list(snapshot.host_patterns)
    there = f"there are {some_of(known)}" if known else "there are none"
    raise BadActionError(f"no managed host {written}{near(host, known)}; {there}")


def _no_such_target(wanted: str, known: tuple[Target, ...]) -> str:
    names = [str(target) for target in known]
    there = f"there are {some_of(names)}" if names else "there are none"
    return f"no target {wanted}{near(wanted, names)}; {there}"


def _endpoint(written: str) -> Endpoint:
    parts = _ENDPOINT.fullmatch(written)
    if parts is None:
        raise BadActionError(f"{written!r} is no endpoint; write ADDRESS:PORT, as the status shows it")
    return Endpoint(parts["address"].strip("[]").lower(), int(parts["port"]))
