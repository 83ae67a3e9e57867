"""Any file whatever ends in findings, not in an exception."""

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_fallback.config import Loaded, Severity, load
from llm_fallback.config.findings import Code
from llm_fallback.config.values import compose
from llm_fallback.resources import KINDS

QUICK = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
SECRET = "s3cret"

PIECES = st.lists(
    st.sampled_from(
        [
            *"abx19:-[]{},&*!|>%@`#\"'? \t\n\r\x85\u2028\ufeff\x00\x1b",
            *(": ", "- ", "? ", "<<", "<<: ", "&a ", "*a", "---\n", "...\n", "\n  ", "|\n ", ">-\n "),
            *(
                "!!int ",
                "!!bool ",
                "!!float ",
                "!!binary ",
                "!!timestamp ",
                "!!set ",
                "!!omap ",
                "!!null ",
                "!a ",
            ),
            *("0x", "0b_", ".inf", "-.INF", ".nan", "1:30", "1e999", "9" * 5000, "${A}", "${", "{{ .a }}"),
            *("\\ud800", "\\x00", '"\\', "é", "\U0001f600", "%YAML 9.9\n", "%TAG ! x\n"),
            *("apiVersion: networking.istio.io/v1\n", "kind: ServiceEntry\n", "kind: List\n", "items:\n"),
            *("metadata: ", "name: ", "spec: ", "hosts: "),
        ]
    ),
    max_size=40,
).map("".join)
ANYTHING = st.one_of(
    PIECES.map(lambda text: text.encode()),
    PIECES.map(lambda text: text.encode("utf-16")),
    st.binary(max_size=80),
    st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace")),
)


def load_bytes(folder: Path, content: bytes) -> Loaded:
    """Load a file, and hold what comes of it to what is promised."""
    file = folder / "a.yaml"
    file.write_bytes(content)
    loaded = load([file], {"A": SECRET})
    assert (loaded.snapshot is None) == any(f.severity is Severity.ERROR for f in loaded.findings)
    for finding in loaded.findings:
        assert str(finding).isprintable()
        assert SECRET not in str(finding)
        assert finding.code in set(Code)
        str(finding).encode()
    return loaded


@settings(QUICK, max_examples=1000)
@given(ANYTHING)
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    """Whatever a file holds."""
    load_bytes(tmp_path, content)


@settings(QUICK, max_examples=500)
@given(PIECES)
def test_what_the_library_reads_we_read_alike(content: str) -> None:
    """Where PyYAML and we both make values of it, they are the same."""
    text = content.encode()
    try:
        loaded = yaml.load_all(text, Loader=yaml.CSafeLoader)
        expected = [value for value in loaded if value is not None]
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, OverflowError):
        return
    try:
        ours = list(compose(text))
    except (yaml.YAMLError, ValueError):
        return
    if not any(composed.problems for composed in ours) and _has_text_keys(expected):
        assert [_plain(composed.value) for composed in ours] == [_plain(value) for value in expected]


def _has_text_keys(value: Any) -> bool:
    """Whether all keys are text: two others may be one to PyYAML, and are never one to us."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _has_text_keys(item) for key, item in value.items())
    return not isinstance(value, list) or all(map(_has_text_keys, value))


def _plain(value: Any) -> Any:
    """Without what differs by intention: there are neither dates nor base 60."""
    if isinstance(value, dict):
        return {len(value): sorted(map(repr, map(_plain, value.values())))}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return type(value).__name__ if isinstance(value, (bool, type(None))) else "scalar"


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**400, max_value=10**401),
    st.floats(),
    st.text(max_size=6),
    st.binary(max_size=3),
    st.dates(),
    st.sampled_from(
        ["${A}", "a.com", "*", "*.com", "10s", "0s", "-1", "mesh", "[", "(?=a)", "x" * 10_000, "\x00"]
    ),
)
NAMES = st.one_of(
    st.sampled_from(
        ["host", "exact", "regex", "number", "name", "port", "spec", "metadata", "kind", "", "a" * 9999]
    ),
    st.text(max_size=4),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)

RICH = list(yaml.safe_load_all((Path(__file__).parent / "rich.yaml").read_text()))
"""A resource of every kind with as many fields as fit into one."""


def test_there_is_a_rich_resource_of_every_kind() -> None:
    """And all of them are valid; else the mutations would begin from nothing."""
    assert {document["kind"] for document in RICH} == set(KINDS)
    loaded = load([Path(__file__).parent / "rich.yaml"], {})
    assert [str(f) for f in loaded.findings if f.severity is Severity.ERROR] == []


@QUICK
@given(st.data())
def test_mutated_resources(tmp_path: Path, data: st.DataObject) -> None:
    """Parts deleted, replaced by something of another type, renamed, repeated, or nested."""
    documents = copy.deepcopy(RICH)
    for _ in range(data.draw(st.integers(1, 3))):
        holders = [holder for document in documents for holder in _holders(document)]
        _mutate(data, *data.draw(st.sampled_from(holders)))
    load_bytes(tmp_path, yaml.safe_dump_all(documents).encode("utf-8", "replace"))


@QUICK
@given(st.sampled_from(sorted(KINDS)), VALUES)
def test_any_spec(tmp_path: Path, kind: str, spec: object) -> None:
    """Whatever stands where a spec should."""
    document = {
        "apiVersion": KINDS[kind].API_VERSIONS[0],
        "kind": kind,
        "metadata": {"name": "a"},
        "spec": spec,
    }
    load_bytes(tmp_path, yaml.safe_dump(document).encode("utf-8", "replace"))


def _holders(value: object) -> Iterator[tuple[Any, Any]]:
    """Every mapping or list, with each of its keys."""
    if isinstance(value, (dict, list)):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _holders(value[key])


def _mutate(data: st.DataObject, holder: Any, key: Any) -> None:
    match data.draw(st.sampled_from(["delete", "replace", "nest", "list", "rename", "add"])):
        case "delete":
            del holder[key]
        case "replace":
            holder[key] = data.draw(VALUES)
        case "nest":
            holder[key] = {data.draw(NAMES): holder[key]}
        case "list":
            holder[key] = [copy.deepcopy(holder[key]), holder[key]]
        case "rename" if isinstance(holder, dict):
            holder[data.draw(NAMES)] = holder.pop(key)
        case _ if isinstance(holder, dict):
            holder[data.draw(NAMES)] = data.draw(VALUES)
        case _:
            holder.append(data.draw(VALUES))


def test_numbers_that_are_none(tmp_path: Path) -> None:
    """NaN and infinity wherever a number is wanted."""
    for number in (math.nan, math.inf, -math.inf):
        documents = copy.deepcopy(RICH)
        for document in documents:
            for holder, key in list(_holders(document)):
                if type(holder[key]) in (int, float):
                    holder[key] = number
        assert load_bytes(tmp_path, yaml.safe_dump_all(documents).encode()).snapshot is None
