"""Labels on one line."""

import pytest

from llm_fallback.config.workload import parse_labels


@pytest.mark.parametrize(
    ("written", "labels"),
    [
        ("", None),
        ("app=sleep", {"app": "sleep"}),
        (" app = sleep , version=v1 ", {"app": "sleep", "version": "v1"}),
        ("app=", {"app": ""}),
        ("a=b=c", {"a": "b=c"}),
    ],
)
def test_labels(written: str, labels: dict[str, str] | None) -> None:
    """By name; nothing at all is no workload."""
    assert parse_labels(written) == labels


@pytest.mark.parametrize("written", ["app", "=sleep", "app=sleep,", ",", " "])
def test_what_are_no_labels(written: str) -> None:
    """It is quoted, and an example given."""
    with pytest.raises(ValueError, match="is not a list of labels; write app=sleep,version=v1") as caught:
        parse_labels(written)

    assert repr(written) in str(caught.value)
