"""What an operator does is written to the audit log before it is done, so that no act is without its record."""

from __future__ import annotations

from syncline.admin.ports import Ports
from syncline.domain.errors import NotFound
from syncline.messages.records import AuditEntry
from syncline.store.audit import STACK, Audit, account_subject, library_subject
from syncline.store.directory import AccountRecord, Directory, LibraryRecord

OPERATOR = "operator"


async def record(
    ports: Ports, action: str, *, library: str = "", account: str = "", details: dict[str, str | int] | None = None
) -> None:
    """Write an act down for the library or account that it is about, and for the stack."""
    about = {**(details or {}), **({"account": account} if account else {})}
    entry = AuditEntry(
        ports.new_id(), ports.clock.now_ms(), action, "done", "", OPERATOR, "", library, about
    )  # fmt: skip
    subjects = [library_subject(library)] if library else [account_subject(account)] if account else []
    await Audit(ports.tables).write(entry, [*subjects, STACK])


async def existing_library(ports: Ports, library: str) -> LibraryRecord:
    """Raises ``NotFound``."""
    found = await Directory(ports.tables).library(library)
    if found is None:
        raise NotFound(f"There is no library {library}.")
    return found


async def existing_account(ports: Ports, account: str) -> AccountRecord:
    """The account of this id or e-mail address. Raises ``NotFound``, also for one that was removed."""
    directory = Directory(ports.tables)
    found = await (directory.account_by_email(account) if "@" in account else directory.account(account))
    if found is None:
        raise NotFound(f"There is no account {account}.")
    return found
