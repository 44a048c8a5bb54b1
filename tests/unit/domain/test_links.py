"""No chain of links that pass leads out of the folder, whatever it is made of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from syncline.domain.links import leads_out, target_of

INSIDE = ["a", "./a", "a/b", "../a", "..", ".", "../../x/y", "a//b", ".hidden", "...", "a b/ü"]
OUTSIDE = ["/", "/etc/passwd", "../../..", "../../../x", "a/..", "a/../b", "", "a\0b", "\ufffd"]


@pytest.mark.parametrize("target", INSIDE)
def test_stays_inside(target: str):
    assert not leads_out("one/two/link", target)


@pytest.mark.parametrize("target", OUTSIDE)
def test_leads_out(target: str):
    assert leads_out("one/two/link", target)


def test_in_the_root_nothing_is_above():
    assert leads_out("link", "..")
    assert not leads_out("link", ".")


def test_a_target_that_is_no_text_never_passes():
    assert leads_out("link", target_of(b"\xff\xfe"))
    assert target_of("ü/x".encode()) == "ü/x"


NAMES = st.sampled_from(["a", "b", "..", "."])
TARGETS = st.lists(NAMES, min_size=1, max_size=5).map("/".join)
PLACES = st.sampled_from(["l", "m", "d/l", "d/m", "d/e/l", "d/e/m", "d/a", "b", "d/e/b", "a"])


@given(st.dictionaries(PLACES, TARGETS, max_size=8))
def test_no_chain_of_links_leads_out(tmp_path_factory, links: dict[str, str]):
    """On a real disk: whatever the system makes of a link, it is inside."""
    root = tmp_path_factory.mktemp("links") / "outer" / "root"
    (root / "d" / "e").mkdir(parents=True)
    for path, target in links.items():
        if not leads_out(path, target):
            os.symlink(target, root / path)
    for path in links:
        try:
            arrived = Path(root, path).resolve(strict=True)
        except (OSError, RuntimeError):  # leads nowhere, or round in a ring
            continue
        assert arrived.is_relative_to(root)
