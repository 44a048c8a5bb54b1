"""Which nodes of a library are not to be on this disk: what is ignored, and folders deselected on this device. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec

from syncline.client.ignoring import NO_IGNORES, Ignores
from syncline.client.trees import Remote
from syncline.domain.nodes import Kind

CHANGING = "changing"
"""Stands for the digest of rules of which some, or others, may have been followed."""


@dataclass(frozen=True)
class Rules:
    """What a link leaves apart. ``deselected`` are folders (ids). ``folds_case``: the disk does not tell upper from
    lower case, so that of names which differ in that alone only one can be here (alike.py)."""

    ignores: Ignores = NO_IGNORES
    deselected: frozenset[str] = frozenset()
    folds_case: bool = False

    @property
    def digest(self) -> str:
        """Tells these rules from others; "" where there are none but the built-in ones."""
        said = [*self.ignores.lines, "\n", *sorted(self.deselected), *(["\n"] if self.folds_case else [])]
        return hashlib.sha256(msgspec.json.encode(said)).hexdigest() if len(said) > 1 else ""


def apart(remote: Remote, rules: Rules) -> frozenset[str]:
    """The nodes that are deselected or ignored by the place the library has them at, and all below them."""
    found: set[str] = set()
    paths = {remote.root: ""}
    for start in remote.nodes:
        chain = []
        at = start
        while at not in paths and at not in found and (node := remote.nodes.get(at)) is not None:
            chain.append(node)
            at = node.parent
        is_apart = at in found
        for node in reversed(chain):
            above = paths.get(node.parent, "")
            path = f"{above}/{node.name}" if above else node.name
            folder = node.kind is Kind.FOLDER
            is_apart = is_apart or node.node in rules.deselected or rules.ignores.match(path, folder=folder)
            if is_apart:
                found.add(node.node)
            else:
                paths[node.node] = path
    return frozenset(found)
