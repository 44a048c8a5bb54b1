"""Rules of removal: what its remover had not seen stays (5, 6)."""

from __future__ import annotations

from collections.abc import Mapping

from syncline.domain.attempt import Attempt, Verdict
from syncline.domain.commands import Remove
from syncline.domain.commits import Status
from syncline.domain.draft import Draft
from syncline.domain.errors import Refused
from syncline.domain.facts import ancestors, is_live
from syncline.domain.nodes import Kind, Node, Place
from syncline.domain.placing import standing_folder
from syncline.domain.seeing import SERVICE, unseen

MAX_KEPT_TOLD = 1_000
"""As many kept nodes as a result names."""


def is_plain_folder_removal(attempt: Attempt, request: Remove) -> bool:
    """Whether the request waits for the command's end, since only then it shows if the folder is empty."""
    node = attempt.draft.node(attempt.meant(request.node))
    return not request.held_all and node is not None and node.kind is Kind.FOLDER


def remove(attempt: Attempt, request: Remove) -> Verdict:
    """Rule 5: a removal takes effect on what its device had seen; anything newer stays and is named in ``kept``."""
    draft = attempt.draft
    node = draft.node(attempt.meant(request.node))
    if node is None:
        raise Refused("no-such-node", f"There is no node {request.node} in this library.")
    if node.id == draft.library:
        raise Refused("root", "The root of a library cannot be removed.")
    if not is_live(draft, node):
        return Verdict(Status.UNCHANGED, node.id)
    if unseen(node, request.base_seq, attempt.author):
        return _kept(node, [node.id])
    if node.kind is Kind.FOLDER and request.held_all:
        return _remove_held(attempt, node, request.base_seq)
    remaining = draft.children(node.id) if node.kind is Kind.FOLDER else []
    if remaining:
        return _kept(node, [child.id for child in remaining])
    draft.remove(node, attempt.author)
    return Verdict(Status.APPLIED, node.id)


def _remove_held(attempt: Attempt, folder: Node, base_seq: int) -> Verdict:
    """Rule 6: a folder as its remover held it. What came or changed below it since then stays in stand-ins."""
    draft = attempt.draft
    changed = draft.changed_since(base_seq)
    if changed is None:
        raise Refused("base-too-old", "Too much has happened since; fetch the changes and remove it again.")
    news = {node.id: node for node in changed if unseen(node, base_seq, attempt.author)}
    for node_id in attempt.unmoved:  # its device wanted it out of here: it is no part of what it gives up
        node = draft.node(node_id)
        if node is not None:
            news[node_id] = node
    staying = _topmost(draft, folder, dict(sorted(news.items())))
    draft.remove(folder, attempt.author)
    for node in staying:
        parent = standing_folder(attempt, node.parent)
        name = attempt.free_name(parent.id, node.name, node.id)
        draft.place(node, Place(parent.id, name), node.author, SERVICE)
    if staying:
        return _kept(folder, [node.id for node in staying])
    return Verdict(Status.APPLIED, folder.id)


def _topmost(draft: Draft, folder: Node, news: Mapping[str, Node]) -> list[Node]:
    """Of the new nodes, those that live below the folder and below no other new one: they stay as a whole."""
    topmost: dict[str, Node] = {}
    for node in news.values():
        if node.id == folder.id or not is_live(draft, node):
            continue
        way_up = [node.id]
        for above in ancestors(draft, node):
            if above.id == folder.id:
                top = [node_id for node_id in way_up if node_id in news][-1]
                topmost[top] = news[top]
                break
            way_up.append(above.id)
    return list(topmost.values())


def _kept(node: Node, kept: list[str]) -> Verdict:
    return Verdict(Status.KEPT, node.id, kept=tuple(kept[:MAX_KEPT_TOLD]))
