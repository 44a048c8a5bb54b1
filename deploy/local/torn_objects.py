"""Objects that were being put when the local AWS was killed: taken back before MiniStack (1.5.33) reads them.

MiniStack writes an object's bytes to KEY, then what it knows of them (permit, checksum, version) to KEY.meta.json,
then answers. Killed between the two it would later show bytes without their permit and refuse to have them put
again, or take the new bytes for those of the version before. Neither was acknowledged.
"""

from __future__ import annotations

import filecmp
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

VERSIONS = ".versions"
META = ".meta.json"
DRAFT = ".tmp"


def mend(objects: Path) -> int:
    """Undo puts that were never answered below MiniStack's folder of objects; how many there were."""
    mended = 0
    for path in list(_files(objects)):
        if path.name.endswith(DRAFT):
            path.unlink()
        elif VERSIONS not in path.relative_to(objects).parts[:1]:
            mended += _mend_one(objects, path)
    return mended


def _mend_one(objects: Path, path: Path) -> bool:
    if path.name.endswith(META):
        return False
    meta = path.with_name(path.name + META)
    if not meta.exists():
        path.unlink()
        return True
    version = json.loads(meta.read_bytes()).get("version_id")
    if not version:
        return False
    # Another object was about to take its place: its bytes were set aside first.
    account, bucket, *key = path.relative_to(objects).parts
    aside = objects.joinpath(VERSIONS, account, bucket, version, *key)
    if not aside.is_file() or filecmp.cmp(aside, path, shallow=False):
        return False
    draft = path.with_name(path.name + DRAFT)
    shutil.copyfile(aside, draft)
    draft.replace(path)
    return True


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        for name in names:
            yield Path(place, name)
