"""Comparing: equal trees have equal digests, and the differences are exactly what differs."""

from __future__ import annotations

import unicodedata

from hypothesis import given, strategies as st

from syncline.domain.comparing import Difference, Entry, State, compare, compared_checksum, folder_digest, root_digest
from syncline.domain.nodes import Kind

parts = st.sampled_from(["a", "b", "c", "\u00e9", "d.txt"])


@st.composite
def trees(draw) -> dict[str, Entry]:
    """A tree by path; what is inside a file is left out."""
    tree: dict[str, Entry] = {}
    for path in draw(st.lists(st.lists(parts, min_size=1, max_size=3).map("/".join), max_size=8)):
        if draw(st.booleans()):
            tree[path] = Entry(path, Kind.FOLDER, node=f"node {path}")
        else:
            content = draw(st.sampled_from(["one", "two", "three"]))
            tree[path] = Entry(path, Kind.FILE, len(content), content, node=f"node {path}")
    files = {path for path, entry in tree.items() if entry.kind is Kind.FILE}
    return {path: entry for path, entry in tree.items() if not any(path.startswith(f"{file}/") for file in files)}


def with_folders(tree: dict[str, Entry]) -> dict[str, Entry]:
    """Every folder listed that has something below it."""
    above = {path[:at] for path in tree for at, letter in enumerate(path) if letter == "/"}
    return {path: Entry(path, Kind.FOLDER) for path in above} | tree


def never(node: str, size_bytes: int, checksum: str) -> bool:
    return False


@given(trees(), st.randoms())
def test_order_form_and_listed_folders_do_not_matter(tree, random):
    entries = list(with_folders(tree).values())
    random.shuffle(entries)
    decomposed = [entry._replace(path=unicodedata.normalize("NFD", entry.path)) for entry in entries]
    assert root_digest(tree.values()) == root_digest(entries) == root_digest(decomposed)
    assert compare(decomposed, entries, never) == []


@given(trees(), trees())
def test_digests_are_equal_when_there_is_no_difference(one, other):
    one, other = with_folders(one), with_folders(other)
    equal = root_digest(one.values()) == root_digest(other.values())
    assert equal == (compare(one.values(), other.values(), never) == [])


@given(trees(), trees())
def test_each_path_is_told_as_it_is(here, there):
    told = {difference.path: difference for difference in compare(here.values(), there.values(), never)}
    for path in here.keys() | there.keys():
        mine, theirs = here.get(path), there.get(path)
        if mine is None:
            assert told[path] == Difference(path, State.MISSING, f"node {path}")
        elif theirs is None:
            assert told[path] == Difference(path, State.EXTRA)
        elif mine[1:4] != theirs[1:4]:
            assert told[path] == Difference(path, State.DIFFERENT, f"node {path}")
        else:
            assert path not in told


def test_a_link_is_not_the_file_that_holds_its_target_as_text():
    link, text = (Entry("a", Kind.FILE, 3, compared_checksum("abc", symlink=it)) for it in (True, False))
    assert root_digest([link]) != root_digest([text])
    assert [d.state for d in compare([link], [text], lambda *_: False)] == [State.DIFFERENT]


def test_an_earlier_version_of_the_same_file_is_not_just_different():
    mine = [Entry("a", Kind.FILE, 3, "old"), Entry("b", Kind.FILE, 3, "mad")]
    theirs = [Entry("a", Kind.FILE, 3, "new", "n1"), Entry("b", Kind.FILE, 3, "new", "n2")]
    history = {("n1", 3, "old")}
    told = compare(mine, theirs, lambda *had: had in history)
    assert [(difference.path, difference.state) for difference in told] == [("a", State.NEWER), ("b", State.DIFFERENT)]


def test_an_empty_folder_is_something():
    assert root_digest([]) != root_digest([("a", Kind.FOLDER, 0, "")])
    assert root_digest([]) == root_digest([("", Kind.FOLDER, 0, "")]) == folder_digest([])


def test_names_cannot_run_into_each_other():
    one = folder_digest([("a", Kind.FILE, 1, "bc")])
    assert one != folder_digest([("ab", Kind.FILE, 1, "c")])
    assert one != folder_digest([("a", Kind.FOLDER, 1, "bc")])
    assert one != folder_digest([("a", Kind.FILE, 11, "bc")])
