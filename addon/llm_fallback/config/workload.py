"""The labels of the workload that the proxy stands for, as people write them on one line."""


def parse_labels(written: str) -> dict[str, str] | None:
    """The labels in `app=sleep,version=v1`; None for an empty text: nobody said.

    Raises ValueError, with a sentence for people, for anything else.
    """
    if not written:
        return None
    pairs = [part.partition("=") for part in written.split(",")]
    if not all(name.strip() and equals for name, equals, _ in pairs):
        raise ValueError(f"{written!r} is not a list of labels; write app=sleep,version=v1")
    return {name.strip(): value.strip() for name, _, value in pairs}
