"""Who shares a library, by themselves and through groups."""

from __future__ import annotations

import msgspec

from syncline.admin.ports import Ports
from syncline.domain.rights import Role, highest
from syncline.store.directory import Directory
from syncline.store.groups import Groups


class Sharer(msgspec.Struct, frozen=True):
    """``role`` is the highest; ``direct``: not only through ``groups``, which are named."""

    account: str
    email: str
    name: str
    role: Role
    direct: bool
    groups: tuple[str, ...]


async def sharers(ports: Ports, library: str) -> list[Sharer]:
    """Everybody who shares the library, by address."""
    directory, groups = Directory(ports.tables), Groups(ports.tables)
    own = {member.account: member.role for member in await directory.members(library)}
    through: dict[str, list[tuple[str, Role]]] = {}
    roles = await directory.groups_in(library)
    for group in (await groups.groups(list(roles))).values():
        for account in await groups.members(group.id):
            through.setdefault(account, []).append((group.name, roles[group.id]))
    found = []
    for person in (await directory.accounts(list({**own, **through}))).values():
        names = through.get(person.id, [])
        held = [*([own[person.id]] if person.id in own else []), *(role for _, role in names)]
        role = highest(held)
        if role is not None:
            of_groups = tuple(sorted(name for name, _ in names))
            found.append(Sharer(person.id, person.email, person.name, role, person.id in own, of_groups))
    return sorted(found, key=lambda one: (one.email, one.account))
