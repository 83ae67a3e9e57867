"""YAML as it may be: what is read, with which lines, and what is a finding."""

import subprocess
import sys
from pathlib import Path

import pytest

from llm_fallback.config.documents import dotted, parse


def values(text: str | bytes) -> list[object]:
    """The values of a file without problems."""
    parsed = parse("a.yaml", text if isinstance(text, bytes) else text.encode())
    assert parsed.findings == []
    return [document.value for document in parsed.documents]


def problems(text: str | bytes) -> list[str]:
    """The findings about a file."""
    parsed = parse("a.yaml", text if isinstance(text, bytes) else text.encode())
    return [str(finding) for finding in parsed.findings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a: 1\n", [{"a": 1}], id="one-document"),
        pytest.param("a: 1\n---\nb: 2\n", [{"a": 1}, {"b": 2}], id="several"),
        pytest.param("---\n---\na: 1\n---\n# b\n---\n", [{"a": 1}], id="nothing-between-separators"),
        pytest.param("%YAML 1.1\n---\na: 1\n...\n", [{"a": 1}], id="with-a-directive"),
        pytest.param("", [], id="empty"),
        pytest.param("# a: 1\n\n# b\n", [], id="only-comments"),
        pytest.param("\ufeffa: 1\r\nb: 2\r\n", [{"a": 1, "b": 2}], id="mark-and-crlf"),
        pytest.param(
            "a: 2026-01-01\nb: 2026-01-01T00:00:00Z\n",
            [{"a": "2026-01-01", "b": "2026-01-01T00:00:00Z"}],
            id="no-dates",
        ),
        pytest.param("a: [1, x, true, null, 1.5]\n", [{"a": [1, "x", True, None, 1.5]}], id="plain-types"),
        pytest.param("a: [1:30, =, <<]\n", [{"a": ["1:30", "=", "<<"]}], id="no-base-60-no-value-key"),
        pytest.param('{"a": "\\ud83d\\ude00"}', [{"a": "\U0001f600"}], id="json-surrogates"),
        pytest.param('{"a": "\\\\ud83d"}', [{"a": "\\ud83d"}], id="json-with-a-backslash-before-u"),
        pytest.param("a: &x b\n*x : c\n", [{"a": "b", "b": "c"}], id="alias-as-a-key"),
        pytest.param("1: a\ntrue: b\n~: c\n", [{"1": "a", "true": "b", "~": "c"}], id="keys-are-strings"),
        pytest.param('{"a": {"b": [1, "\\u8bf7\\/"]}}', [{"a": {"b": [1, "请/"]}}], id="json"),
        pytest.param('{\n\t"a": 1,\n\t"b": [\n\t\t2\n\t]\n}\n', [{"a": 1, "b": [2]}], id="json-with-tabs"),
        pytest.param("a: &x {b: 1}\nc: *x\n", [{"a": {"b": 1}, "c": {"b": 1}}], id="alias"),
        pytest.param(
            "a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\n",
            [{"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}],
            id="merge",
        ),
        pytest.param(
            "a: &x {b: 1}\nc: &y {b: 2, d: 3}\ne: {<<: [*x, *y]}\n",
            [{"a": {"b": 1}, "c": {"b": 2, "d": 3}, "e": {"b": 1, "d": 3}}],
            id="merge-of-several-the-first-wins",
        ),
        pytest.param(
            "a: {c: 3, <<: {c: 1, b: 2}}\n",
            [{"a": {"c": 3, "b": 2}}],
            id="merge-in-place-loses-to-what-is-written",
        ),
        pytest.param('a: {"<<": 1}\n', [{"a": {"<<": 1}}], id="a-quoted-merge-key-is-a-key"),
    ],
)
def test_values(text: str, expected: list[object]) -> None:
    """What is written, as plain values."""
    assert values(text) == expected


CYCLE = "an alias of what it stands in [yaml-syntax]"
NO_MAPPING = "a document is a mapping with apiVersion and kind"


def invalid(line: int, problem: str) -> str:
    return f"a.yaml:{line}: not valid YAML: {problem} [yaml-syntax]"


UNKNOWN_TAG = invalid(1, "unknown tag (put a value that begins with ! in quotes)")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("a: [\n", [invalid(2, "did not find expected node content")], id="syntax"),
        pytest.param(
            "a:\n\tb: 1\n", [invalid(2, "a tab where only spaces may be (indent with spaces)")], id="tab"
        ),
        pytest.param(
            "a: b: c\n",
            [
                invalid(
                    1,
                    "mapping values are not allowed in this context"
                    " (put a value with ': ' in it in quotes, or check the indentation)",
                )
            ],
            id="two-colons",
        ),
        pytest.param("a: *b\n", [invalid(1, "found undefined alias")], id="undefined-alias"),
        pytest.param(
            "a: 1\na: 2\na: 3\n",
            [
                "a.yaml:2: duplicate key 'a' (keep one of them) [duplicate-key]",
                "a.yaml:3: duplicate key 'a' (keep one of them) [duplicate-key]",
            ],
            id="duplicate-keys",
        ),
        pytest.param(
            "a:\n  b: 1\n  'b': 2\n",
            ["a.yaml:3: duplicate key 'b' (keep one of them) [duplicate-key]"],
            id="duplicate-key-quoted",
        ),
        pytest.param("x: {a: 1}\ny: {a: 1}\n", [], id="no-duplicates-in-two-mappings"),
        pytest.param("? [a]\n: 1\n", ["a.yaml:1: a key is a plain string [yaml-syntax]"], id="list-as-key"),
        pytest.param(
            "? {a: 1}\n: 1\n", ["a.yaml:1: a key is a plain string [yaml-syntax]"], id="mapping-as-key"
        ),
        pytest.param("hello\n", [f"a.yaml:1: {NO_MAPPING} [yaml-syntax]"], id="scalar"),
        pytest.param(
            "a: 1\n---\n- b\n",
            [f"a.yaml:3: {NO_MAPPING} (write --- between resources, or a List with items) [yaml-syntax]"],
            id="list",
        ),
        pytest.param(
            "a:\n- <<: 1\n", ["a.yaml:2: << merges mappings only [yaml-syntax]"], id="merge-of-a-number"
        ),
        pytest.param("a: &a\n  b: *a\n", [f"a.yaml:2: {CYCLE}"], id="cycle-of-mappings"),
        pytest.param("a: &a [*a]\n", [f"a.yaml:1: {CYCLE}"], id="cycle-of-lists"),
        pytest.param(
            "a: !!python/name:a x\n",
            [UNKNOWN_TAG],
            id="python-object",
        ),
        pytest.param("apiKey: !sk-s3cret\n", [UNKNOWN_TAG], id="a-key-that-reads-as-a-tag"),
        pytest.param(
            "a: !mine x\n",
            [UNKNOWN_TAG],
            id="unknown-tag",
        ),
        pytest.param(
            b"a: caf\xe9 x\n",
            [invalid(1, "invalid trailing UTF-8 octet (save the file as UTF-8)")],
            id="latin-1",
        ),
        pytest.param(bytes(range(256)), [invalid(1, "control characters are not allowed")], id="binary"),
        pytest.param(
            b"\x7fELF\x02\x01\x01\x00", [invalid(1, "control characters are not allowed")], id="a-program"
        ),
    ],
)
def test_problems(text: str | bytes, lines: list[str]) -> None:
    """One line for each, with the line of the file where there is one."""
    assert problems(text) == lines


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: !!bool abc\n", id="bool"),
        pytest.param("a: !!int ''\n", id="int-empty"),
        pytest.param("a: !!int abc\n", id="int"),
        pytest.param("a: !!float ''\n", id="float-empty"),
        pytest.param("a: !!float abc\n", id="float"),
        pytest.param("a: !!timestamp abc\n", id="timestamp"),
        pytest.param("a: !!timestamp 2026-99-99\n", id="timestamp-out-of-range"),
        pytest.param("a: !!binary é\n", id="binary"),
        pytest.param("a: " + "9" * 5000 + "\n", id="a-number-python-refuses"),
        pytest.param("a: 0b_\n", id="a-number-without-digits"),
        pytest.param("a: !!int 1:30\n", id="base-60"),
        pytest.param("a: !!set x\n", id="set"),
    ],
)
def test_values_that_are_not_what_their_tag_says(text: str) -> None:
    """One finding at the line, and no exception."""
    (problem,) = problems("x: 1\n" + text)

    assert problem.startswith("a.yaml:2: not valid YAML: ")


def bomb(levels: int, width: int) -> str:
    """Billion laughs: each level holds the one before several times."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


def merge_bomb(levels: int, width: int) -> str:
    """The same with merges, whose result stays as small as the first mapping."""
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * width)}]}}" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(bomb(10, 10), id="aliases"),
        pytest.param(merge_bomb(30, 10), id="merges"),
    ],
)
def test_bombs(text: str) -> None:
    """A short file that means a huge one is refused as soon as it is too large: nothing is copied."""
    (found,) = problems(text)

    assert found == invalid(7, "more than 2000000 values in one file, aliases counted each time")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: &a\n  <<: *a\n", id="a-merge-of-itself"),
        pytest.param("a: &a {b: {<<: [*a, *a]}}\n", id="merges-of-what-is-around-them"),
        pytest.param("a: &a {? *a : 1}\n", id="a-key"),
    ],
)
def test_cycles(text: str) -> None:
    """What stands in itself is a finding."""
    assert CYCLE in problems(text)[0]


@pytest.mark.parametrize("depth", [10, 60, 64, 100])
def test_depth_of_aliases(depth: int) -> None:
    """It counts as if what they name were written there."""
    text = "a: &a " + "[" * 20 + "]" * 20 + "\nb: " + "[" * (depth - 21) + "*a" + "]" * (depth - 21)

    assert [("deep" in problem) for problem in problems(text)] == ([True] if depth > 64 else [])


@pytest.mark.parametrize(
    "opening",
    [
        pytest.param("[", id="lists"),
        pytest.param("{a: ", id="mappings"),
        pytest.param("- ", id="block-lists"),
    ],
)
@pytest.mark.parametrize("depth", [100, 200_000])
def test_deep_nesting(tmp_path: Path, opening: str, depth: int) -> None:
    """A finding, and not the end of the process: libyaml's composer has no limit of its own."""
    (tmp_path / "a.yaml").write_text("a:\n " + opening * depth)
    program = (
        "import sys; from pathlib import Path; from llm_fallback.config.documents import parse;"
        "print(*parse('a.yaml', Path(sys.argv[1]).read_bytes()).findings)"
    )
    package = Path(sys.modules["llm_fallback"].__path__[0]).parent
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "a.yaml"],
        env={"PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("a.yaml:2: ")
    assert "[yaml-syntax]" in done.stdout


def test_lines() -> None:
    """Of keys and items, of what a merge brings, and of what overrides it."""
    text = "a: &x\n  b: 1\n  c: 2\nd:\n  <<: *x\n  c:\n    3\ne:\n- f\n-\n  g\n"
    (document,) = parse("a.yaml", text.encode()).documents

    lines = {
        (): 1,
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "c"): 3,
        ("d",): 4,
        ("d", "b"): 2,
        ("d", "c"): 6,
        ("e",): 8,
        ("e", 0): 9,
        ("e", 1): 11,
        ("e", 2): 8,
        ("e", 1, "not", "written"): 11,
        ("e", "x"): 8,
        ("x", 0): 1,
    }
    assert {path: document.line(path) for path in lines} == lines


@pytest.mark.parametrize(
    ("path", "written"),
    [
        pytest.param((), "", id="nothing"),
        pytest.param(("spec",), "spec", id="one"),
        pytest.param(("spec", "http", 0, "route", 12, "weight"), "spec.http[0].route[12].weight", id="items"),
    ],
)
def test_dotted(path: tuple[str | int, ...], written: str) -> None:
    """A path as findings write it."""
    assert dotted(path) == written
