"""What ``.synclineignore`` and the built-in list ignore."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncline.client.ignoring import IGNORE_FILE, IGNORE_FILE_BYTES_MAX, is_litter, parse_ignores, read_ignores


@pytest.mark.parametrize(
    ("lines", "ignored", "heeded"),
    [
        (
            [],
            [".DS_Store", "a/Thumbs.db", ".~lock.plan.ods#", "~$plan.docx", ".plan.txt.swp"],
            ["plan.txt", ".profile"],
        ),
        (["*.log"], ["x.log", "a/b/x.log"], ["x.log.txt"]),
        (["/build/"], ["build/"], ["a/build/", "build"]),
        (["*.log", "!keep.log"], ["x.log"], ["keep.log", "a/keep.log"]),
        (["!*.part"], ["x.crdownload"], ["x.part"]),
        (["docs/**/draft"], ["docs/draft", "docs/a/b/draft"], ["draft"]),
        (["# a word", "", "a\\ b"], ["a b"], ["# a word"]),
        (["*"], ["a", "b/"], [IGNORE_FILE]),
        (["cafe\u0301"], ["caf\u00e9", "cafe\u0301"], ["cafe"]),
    ],
)
def test_by_example(lines: list[str], ignored: list[str], heeded: list[str]) -> None:
    ignores = parse_ignores(lines)

    def match(path: str) -> bool:
        return ignores.match(path.removesuffix("/"), folder=path.endswith("/"))

    assert [path for path in ignored if not match(path)] == []
    assert [path for path in heeded if match(path)] == []


def test_a_line_that_is_no_pattern_is_named_and_the_others_hold() -> None:
    ignores = parse_ignores(["*.log", "!", "*.tmp"])
    assert ignores.match("x.log", folder=False)
    assert ignores.match("x.tmp", folder=False)
    assert [(one.path, one.reason) for one in ignores.complaints] == [(IGNORE_FILE, "bad-pattern")]
    assert "line 2" in ignores.complaints[0].detail


@pytest.mark.parametrize(
    ("lines", "by_place"),
    [([], False), (["*.log", "build/", "!a"], False), (["/build"], True), (["a/b"], True), (["**/draft"], True)],
)
def test_only_patterns_with_a_folder_in_them_depend_on_the_place(lines: list[str], by_place: bool) -> None:
    assert parse_ignores(lines).by_place is by_place


def test_the_file_is_read_whatever_is_in_it(tmp_path: Path) -> None:
    assert read_ignores(tmp_path).lines == ()
    (tmp_path / IGNORE_FILE).write_bytes(b"\xef\xbb\xbf*.log\r\n\xff\xfe\n*.tmp")
    ignores = read_ignores(tmp_path)
    assert ignores.match("x.log", folder=False)
    assert ignores.match("x.tmp", folder=False)
    (tmp_path / IGNORE_FILE).write_bytes(b"#" * IGNORE_FILE_BYTES_MAX + b"\n*.txt")
    assert not read_ignores(tmp_path).match("x.txt", folder=False)


def test_litter_is_only_what_nobody_misses() -> None:
    assert is_litter(".DS_Store")
    assert not is_litter("plan.txt")
