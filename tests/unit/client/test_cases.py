"""The cases of ``cases.py``, each on the model and on real folders, synchronised at the end and after every act."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from unicodedata import normalize

import pytest

from tests.unit.client.cases import CASES, Case
from tests.unit.client.clients import Client
from tests.unit.client.fakes import Stack
from tests.unit.client.model import ModelClient, Service
from tests.unit.client.people import ModelDisk, RealDisk, act, body_of

ROUNDS_MAX = 12
ORDERS = (("alice", "bob", "carol"), ("bob", "alice", "carol"))
STYLES = ("once", "often")
"""Synchronised when all is done; or, who goes first, after each act, while the others are still away."""

Tree = dict[str, tuple[bytes, bool] | None]


def tree_of(text: str) -> Tree:
    """What is written in a case: by path the bytes of a file and whether it is executable, None for a folder."""
    tree: Tree = {}
    for one in text.split(", ") if text else []:
        path, is_file, content = one.rstrip("/").rpartition("=") if not one.endswith("/") else (one[:-1], "", "")
        tree[path] = (body_of(content.removesuffix("+x")), content.endswith("+x")) if is_file else None
    return with_folders(tree)


def with_folders(tree: Tree) -> Tree:
    for path in list(tree):
        names = path.split("/")
        tree |= {"/".join(names[:depth]): None for depth in range(1, len(names))}
    return tree


def known_by(path: str) -> str:
    """A path without the day in conflict copies' names, in NFC."""
    return normalize("NFC", re.sub(r"\(conflict \d{4}-\d\d-\d\d (?=alice|bob\b|carol)", "(conflict ", path))


def seen(disk: ModelDisk | RealDisk, folder: str = "") -> Tree:
    tree: Tree = {}
    for name in disk.list(folder):
        path = f"{folder}/{name}" if folder else name
        body = disk.read(path)
        tree[path] = None if body is None else (body, disk.is_executable(path))
        if body is None:
            tree |= seen(disk, path)
    return {known_by(path): thing for path, thing in tree.items()}


def began(disk: ModelDisk | RealDisk, before: str) -> None:
    for path, thing in tree_of(before).items():
        if thing is None:
            disk.mkdir(path)
        else:
            disk.write(path, thing[0])
            disk.set_executable(path, thing[1])


def after_of(case: Case, order: tuple[str, ...], style: str) -> Tree:
    bob = case.bob_first if style == "once" else case.bob_often
    return {known_by(path): thing for path, thing in tree_of(case.after if order[0] == "alice" else bob).items()}


def ways(case: Case) -> list[tuple[tuple[str, ...], str]]:
    """In which orders and styles a case differs from itself."""
    orders = ORDERS if case.bob else ORDERS[:1]
    return [
        (order, style) for order in orders for style in STYLES if style == "once" or "; " in acts_of(case, order[0])
    ]


def acts_of(case: Case, device: str) -> str:
    return {"alice": case.alice, "bob": case.bob, "carol": case.carol}[device]


# -- on the model


def on_the_model(case: Case, order: tuple[str, ...], style: str) -> list[Tree]:
    """The trees of all three, after."""
    service = Service()
    clients = {device: ModelClient(service, device) for device in order}
    disks = {device: ModelDisk(client) for device, client in clients.items()}
    began(disks["alice"], case.before)
    here = [device for device in order if device != "carol" or case.carol]
    for device in ("alice", *here):
        settle(clients[device])
    first = order[0]
    for device in here:
        if device != first or style == "once":
            act(disks[device], acts_of(case, device))
    for one in acts_of(case, first).split("; ") if style == "often" else []:
        act(disks[first], one)
        settle(clients[first])
    for _ in range(3):
        for device in order:
            settle(clients[device])
    assert all(client.step().empty for client in clients.values())
    library = Service.files(service)
    trees = [seen(disk) for disk in disks.values()]
    assert {path: thing[0] for path, thing in trees[0].items() if thing} == {
        known_by(path): body for path, body in library.items()
    }
    return trees


def settle(client: ModelClient) -> None:
    for _ in range(ROUNDS_MAX):
        if client.step().empty:
            return
    pytest.fail(f"{client.device} goes on and on")


@pytest.mark.parametrize("title", CASES)
def test_on_the_model(title: str) -> None:
    case = CASES[title]
    for order, style in ways(case):
        after = after_of(case, order, style)
        assert on_the_model(case, order, style) == [after] * 3, f"{order[0]} first, synchronising {style}"


# -- on real folders


async def on_real_folders(case: Case, base: Path, order: tuple[str, ...], style: str) -> list[Tree]:
    stack = Stack()
    clients = {device: Client(stack, base / f"{order[0]}-{style}", device) for device in order}
    try:
        return await played(case, stack, clients, order, style)
    finally:
        for client in clients.values():
            client.engine.close()


async def played(
    case: Case, stack: Stack, clients: dict[str, Client], order: tuple[str, ...], style: str
) -> list[Tree]:
    disks = {device: RealDisk(client.folder) for device, client in clients.items()}
    here = [device for device in order if device != "carol" or case.carol]
    clients["alice"].folder.mkdir(parents=True)
    began(disks["alice"], case.before)
    for device in ("alice", *here):
        await clients[device].sync()
    first = order[0]
    for device in here:
        if device != first or style == "once":
            act(disks[device], acts_of(case, device))
    for one in acts_of(case, first).split("; ") if style == "often" else []:
        act(disks[first], one)
        await clients[first].sync()
    if case.sent is not None and style == "once" and first == "alice":
        assert (await clients["alice"].sync()).bytes_up == case.sent
    for _ in range(ROUNDS_MAX):
        done = [await clients[device].sync() for device in order]
        if not any(summary.changes for summary in done):
            break
    assert all(summary.complete and not summary.refused and not summary.skipped for summary in done), done
    trees = [seen(disk) for disk in disks.values()]
    assert trees[0].keys() == {known_by(path) for path in stack.paths()}
    return trees


@pytest.mark.parametrize("title", CASES)
async def test_on_real_folders(title: str, tmp_path: Path) -> None:
    case = CASES[title]
    found = await asyncio.gather(*(on_real_folders(case, tmp_path, *way) for way in ways(case)))
    for (order, style), trees in zip(ways(case), found, strict=True):
        after = after_of(case, order, style)
        assert trees == [after] * 3, f"{order[0]} first, synchronising {style}"
