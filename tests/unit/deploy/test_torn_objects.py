"""Puts that were never answered are taken back; what was answered stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.local.torn_objects import mend

BUCKET = ("000000000000", "files")


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    made = tmp_path.joinpath(*BUCKET)
    made.mkdir(parents=True)
    return made


def put(bucket: Path, key: str, content: bytes, version: str | None, *, answered: bool = True) -> Path:
    path = bucket / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if answered:
        path.with_name(path.name + ".meta.json").write_text(json.dumps({"version_id": version, "key": key}))
    return path


def test_bytes_without_what_is_known_of_them_go(tmp_path, bucket):
    whole = put(bucket, "objects/a/b", b"whole", "v1")
    torn = put(bucket, "objects/a/c", b"torn", None, answered=False)
    draft = put(bucket, "objects/a/d.tmp", b"draft", None, answered=False)
    assert mend(tmp_path) == 1
    assert whole.read_bytes() == b"whole"
    assert not torn.exists()
    assert not draft.exists()
    assert mend(tmp_path) == 0


def test_a_version_that_was_about_to_be_replaced_gets_its_bytes_back(tmp_path, bucket):
    path = put(bucket, "direct/a/b", b"of the second version, not answered", "v1")
    aside = put(tmp_path / ".versions" / Path(*BUCKET) / "v1", "direct/a/b", b"first", None, answered=False)
    assert mend(tmp_path) == 1
    assert path.read_bytes() == aside.read_bytes() == b"first"
    assert mend(tmp_path) == 0


def test_versions_set_aside_long_ago_stay(tmp_path, bucket):
    path = put(bucket, "direct/a/b", b"second", "v2")
    aside = put(tmp_path / ".versions" / Path(*BUCKET) / "v1", "direct/a/b", b"first", None, answered=False)
    assert mend(tmp_path) == 0
    assert (path.read_bytes(), aside.read_bytes()) == (b"second", b"first")


def test_a_folder_that_is_not_there_yet_has_nothing_to_mend(tmp_path):
    assert mend(tmp_path / "nothing") == 0
