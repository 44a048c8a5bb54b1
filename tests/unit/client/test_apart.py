"""What is ignored or deselected: left alone on both sides, never read as removed, and whole again afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from syncline.client.apart import Rules, apart
from syncline.client.ignoring import parse_ignores
from tests.unit.client.model import ModelClient, Service

ROUNDS_MAX = 16
PATHS = ("a", "b", "a/a", "a/b", "b/a", "b/b", "a/b/a", "b/a/a", "x", "a/x", "b/x/a")
paths = st.sampled_from(PATHS)
acts = st.one_of(
    st.tuples(st.just("write"), paths),
    st.tuples(st.just("write"), paths),
    st.tuples(st.just("remove"), paths),
    st.tuples(st.just("move"), paths, paths),
    st.tuples(st.just("select"), st.lists(st.sampled_from(["a", "b", "a/b", "b/a"]), max_size=2)),
    st.tuples(st.just("ignore"), st.sampled_from([(), ("x",), ("x", "/a/b"), ("/b",)])),
    st.tuples(st.just("step")),
)
scripts = st.lists(st.tuples(st.integers(0, 1), acts), min_size=4, max_size=30)


def settle(client: ModelClient) -> None:
    for _ in range(ROUNDS_MAX):
        if client.step().empty:
            return
    pytest.fail(f"{client.device} goes on and on")


def select(client: ModelClient, folders: list[str]) -> None:
    nodes = {client.service.tree.path(node): node.id for node in client.service.tree.live_nodes()}
    deselected = frozenset(nodes[path] for path in folders if path in nodes)
    client.rules = replace(client.rules, deselected=deselected)


def expected(client: ModelClient) -> dict[str, bytes]:
    """What of the library is to be on a client's disk."""
    remote = client.service.remote()
    away = apart(remote, client.rules)
    tree, contents = client.service.tree, client.service.contents
    live = [node for node in tree.live_nodes() if node.id not in away]
    return {tree.path(node): contents[node.version.location.key] for node in live if node.version}


@given(starts=st.lists(paths, max_size=8), script=scripts)
@settings(max_examples=500)
def test_nothing_is_removed_for_being_ignored_or_deselected(
    starts: list[str], script: list[tuple[int, tuple[str, ...]]]
) -> None:
    service = Service()
    clients = [ModelClient(service, "alice"), ModelClient(service, "bob")]
    written: list[bytes] = []

    def write(client: ModelClient, path: str) -> None:
        body = f"{len(written)} by {client.device}".encode()
        client.write(path, body)
        if client.files().get(path) == body:
            written.append(body)

    for path in starts:
        write(clients[0], path)
    for client in clients:
        settle(client)
    for who, (name, *where) in script:
        client = clients[who]
        match name:
            case "write":
                write(client, where[0])
            case "remove":
                client.remove(where[0])
            case "move":
                client.move(where[0], where[1])
            case "select":
                select(client, where[0])  # type: ignore[arg-type]
            case "ignore":
                for one in clients:
                    one.rules = replace(one.rules, ignores=parse_ignores(where[0]))
            case "step":
                client.step()
    for _ in range(4):
        for client in clients:
            settle(client)
    for client in clients:
        assert client.local_files() == expected(client)
    # Selected and minded again, it is all here.
    for client in clients:
        client.rules = Rules()
    for _ in range(4):
        for client in clients:
            settle(client)
    for client in clients:
        assert client.files() == service.files()
        assert client.removed_unseen == []
    destroyed = set().union(*(client.destroyed for client in clients))
    assert not set(written) - destroyed - set(service.files().values())
