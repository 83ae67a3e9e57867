"""Where requests can be sent, as rules name it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Destination:
    """A host, and its port and subset where the rule names them."""

    host: str
    port: int | None = None
    subset: str | None = None
