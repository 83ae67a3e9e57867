"""What a rule does to headers, in Envoy's order. Pure."""

from collections.abc import Iterable

from llm_fallback.config.routes import HeaderOperations
from llm_fallback.headers import Headers

_AUTHORITY = frozenset({":authority", "host"})


def apply(operations: HeaderOperations, headers: Headers) -> Headers:
    """The headers after removals, then replacements, then additions; what is replaced or added comes last.

    Pseudo headers and `host` are no headers to a rule (see `authority`), and an empty value is none to Envoy.
    """
    removed = {name.lower() for name in operations.remove if not _is_internal(name)}
    if removed:
        headers = tuple(field for field in headers if field[0].lower() not in removed)
    return (*overwrite(headers, _written(operations.set)), *_written(operations.add))


def overwrite(headers: Headers, fields: Iterable[tuple[str, str]]) -> Headers:
    """The headers with these, the last of a name, in place of those that had their names."""
    written = {name.lower(): (name, value) for name, value in fields}
    if not written:
        return headers
    return (*(field for field in headers if field[0].lower() not in written), *written.values())


def in_order(
    route: HeaderOperations, destination: HeaderOperations, *, is_weighted: bool
) -> tuple[HeaderOperations, ...]:
    """What to apply, one after another, for a rule and the destination that was chosen.

    Istio makes one list of both for a rule's only destination. Where there are several, Envoy applies the
    destination's operations before the rule's, which may undo them.
    """
    if is_weighted:
        return destination, route
    return (
        HeaderOperations(
            set=(*route.set, *destination.set),
            add=(*route.add, *destination.add),
            remove=(*route.remove, *destination.remove),
        ),
    )


def authority(operations: HeaderOperations) -> str | None:
    """The authority that a request gets by `set` or else `add` of its Host header; None leaves it."""
    for name, value in (*operations.set, *operations.add):
        if name.lower() in _AUTHORITY and value:
            return str(value)  # an address is no secret, even if it came from a variable
    return None


def _written(fields: Headers) -> Headers:
    return tuple((n, _plain(v)) for n, v in fields if v and not _is_internal(n))


def _plain(value: str) -> str:
    """The value as it is sent; what came from a variable is known by its type, which `replace` would lose."""
    return type(value)(value.replace("%%", "%")) if "%" in value else value


def _is_internal(name: str) -> bool:
    return name.startswith(":") or name.lower() == "host"
