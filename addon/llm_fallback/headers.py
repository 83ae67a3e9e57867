"""How the headers of a message are held."""

type Headers = tuple[tuple[str, str], ...]
"""Names and values in the order of the message; a name may come several times, in any case."""
