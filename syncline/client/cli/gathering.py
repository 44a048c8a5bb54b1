"""Which local file goes where in a library: what ``put`` is asked to send."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from syncline.client.api import Api
from syncline.client.cli.output import name_text
from syncline.client.cli.parcels import Gathered, Parcel
from syncline.client.cli.remote import RemotePath, look_up
from syncline.client.hashing import target_bytes
from syncline.domain.errors import Refused
from syncline.domain.links import leads_out, target_of
from syncline.domain.nodes import Kind
from syncline.domain.paths import clean_name, clean_path, join_path
from syncline.messages.api import Library


async def gather(
    api: Api, library: Library, sources: Sequence[Path], target: RemotePath, *, recursive: bool
) -> Gathered:
    """What goes where. Raises ``Refused``: "is-a-folder" without ``recursive``, "same-name", "bad-name"."""
    for source in sources:
        if source.is_dir() and not recursive:
            raise Refused("is-a-folder", f"{source} is a folder; nothing sent. -r sends it with everything in it.")
    gathered = Gathered()
    each_into = target.into or len(sources) > 1 or target.path == ""
    if not each_into and sources[0].is_file():
        there = await look_up(api, library, target)
        each_into = there is not None and there.kind is Kind.FOLDER
    for source in sources:
        name = clean_name(_name_of(source)) if each_into or source.is_file() else ""
        if source.is_dir():
            whole = len(sources) == 1 and not target.into
            _walk(source, target.path if whole else join_path(target.path, name), gathered)
        elif each_into:
            _add_named(gathered, source, target.path, name)
        else:
            folder, _, name = target.path.rpartition("/")
            _add_named(gathered, source, folder, name)
    _check_twice(gathered)
    return gathered


def _walk(top: Path, target: str, gathered: Gathered) -> None:
    """Everything below a local folder, links as links. What is no file is left out; so are links that lead out of the
    folder, and what has no good name."""
    folders = {os.fspath(top): target}
    gathered.folders.append(target)
    for here, subfolders, files in os.walk(top, onerror=lambda error: _unreadable(error, gathered)):
        folder = folders[here]
        for name, path in _inside(here, sorted(subfolders)):
            if path.is_symlink():
                _add_link(gathered, top, path, folder)
            elif (clean := _clean(name, folder, path, gathered)) is not None:
                folders[os.fspath(path)] = join_path(folder, clean)
                gathered.folders.append(join_path(folder, clean))
        subfolders[:] = sorted(name for name in subfolders if os.path.join(here, name) in folders)
        for name, path in _inside(here, sorted(files)):
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                _add_link(gathered, top, path, folder)
            elif not stat.S_ISREG(mode):
                gathered.left.append((str(path), "neither a file nor a folder"))
            elif (clean := _clean(name, folder, path, gathered)) is not None:
                _add(gathered, path, folder, clean)


def _inside(folder: str, names: Sequence[str]) -> Iterator[tuple[str, Path]]:
    for name in names:
        yield name, Path(folder, name)


def _clean(name: str, folder: str, path: Path, gathered: Gathered) -> str | None:
    """The name as the library has it; None, and left out, when it can have none."""
    try:
        clean = clean_name(name)
        clean_path(join_path(folder, clean))
    except Refused as error:
        gathered.left.append((str(path), error.detail))
        return None
    return clean


def _add(gathered: Gathered, source: Path, folder: str, name: str) -> None:
    gathered.parcels.append(Parcel(source, folder, name, source.lstat().st_size))


def _add_link(gathered: Gathered, top: Path, path: Path, folder: str) -> None:
    target = target_of(target_bytes(path))
    if leads_out(path.relative_to(top).as_posix(), target):
        gathered.left.append((str(path), f"a symbolic link that leads out of the folder: {target}"))
    elif (clean := _clean(path.name, folder, path, gathered)) is not None:
        _add(gathered, path, folder, clean)


def _add_named(gathered: Gathered, source: Path, folder: str, name: str) -> None:
    """A file that was named on the command line: then a link to it means the file."""
    if not source.is_file():
        raise Refused("not-a-file", f"{source} is neither a file nor a folder; nothing sent.", status=409)
    _add(gathered, Path(os.path.realpath(source)), folder, name)


def _check_twice(gathered: Gathered) -> None:
    for path, number in Counter(parcel.path for parcel in gathered.parcels).items():
        if number > 1:
            raise Refused("same-name", f"Two of these files would both become {name_text(path)}; nothing sent.")


def _name_of(source: Path) -> str:
    """The name of what is sent, also where it was written as ``.`` or ``..``."""
    return os.path.basename(os.path.abspath(source))


def _unreadable(error: OSError, gathered: Gathered) -> None:
    gathered.left.append((os.fsdecode(error.filename), error.strerror or "unreadable"))
