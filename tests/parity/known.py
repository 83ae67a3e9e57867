"""Scenarios that come out differently, each for a reason that `docs/parity.md` gives; no others may."""

KNOWN = frozenset(
    {
        "retry-after-100",  # a provider's 100 Continue is no point of no return here
    }
)
