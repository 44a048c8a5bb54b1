"""check: whether libraries are whole."""

from __future__ import annotations

import click

from syncline.admin.calling import Answer, Call, Exit, command
from syncline.admin.checking import Checked, Checking
from syncline.admin.recording import record
from syncline.client.cli.output import counted, name_text
from syncline.store.archive import Archive


@command(
    "check",
    examples=[
        "syncline-admin check",
        "syncline-admin check 3kq7hd5m2xw4pnbvz6ta --mend",
        "syncline-admin check 3kq7hd5m2xw4pnbvz6ta --bytes",
    ],
)
@click.argument("library", required=False)
@click.option("--mend", is_flag=True, help="Make wrong and missing rows of views again from the journal.")
@click.option("--bytes", "heads", is_flag=True, help="Ask S3 about each object, its size and its checksum.")
async def check(call: Call, library: str | None, mend: bool, heads: bool) -> Answer:
    """Compare a library's views with its journal, and look whether the bytes of every file are there.

    LIBRARY is a library's id; without it, all that have been archived are checked. Libraries may be in use meanwhile.
    A journal that is broken is not mended: see rebuild.
    """
    async with call.ports() as ports:
        checking = Checking(ports, mend=mend, heads=heads)
        if library:
            checked = [await checking.check(library)]
        else:
            checked = await checking.check_all(Archive(ports.objects).libraries())
        for one in checked:
            if mended := sum(finding.mended for finding in one.findings):
                await record(ports, "library.mend", library=one.library, details={"rows": mended})
    code = Exit.DIFFERS if any(one.unmended for one in checked) else Exit.OK
    return Answer({"libraries": checked}, "\n".join(map(_told, checked)) or "No library has been archived yet.", code)


def _told(checked: Checked) -> str:
    about = f"{checked.library}  at {checked.seq}, {counted(checked.files, 'file')}"
    if not checked.counts:
        return f"{about}: all is well"
    lines = [
        f"  {one.kind.value}{' (mended)' if one.mended else ''}  {name_text(one.what)}" for one in checked.findings
    ]
    more = sum(checked.counts.values()) - len(checked.findings)
    return "\n".join([f"{about}: {counted(sum(checked.counts.values()), 'finding')}", *lines, *_more(more)])


def _more(more: int) -> list[str]:
    return [f"  … and {more} more"] if more else []
