"""Nothing that people wrote, and no secret, is in any log: the main job with names that can be found again."""

from __future__ import annotations

import asyncio
import json
import secrets
from pathlib import Path
from typing import Any

import msgspec
import pytest

from syncline.client.engine import Engine
from syncline.domain.errors import Refused
from syncline.domain.rights import Role
from tests.e2e.embedded import EmbeddedStack
from tests.e2e.people import PASSWORD, eventually, person, put, s3_of

SERVICES = ("gateway", "metadata", "syncer", "notifier")
CONTENT = b"what nobody but the two shall read\n"


def lines_of(stack: EmbeddedStack) -> dict[str, list[dict[str, Any]]]:
    return {service: _lines(stack.place.logs / f"{service}.log") for service in SERVICES}


def _lines(path: Path) -> list[dict[str, Any]]:
    lines = []
    for line in path.read_text().splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            continue  # the supervisor's own
    return lines


async def test_the_main_job_leaves_no_name_and_no_secret_in_any_log(stack: EmbeddedStack, tmp_path: Path):
    mark = f"Zq{secrets.token_hex(6)}"
    file, folder, library_name = f"{mark} plan's.txt", f"{mark} folder", f"{mark} board"
    hidden = [mark, PASSWORD, CONTENT.decode().strip()]
    async with person(stack.url, tmp_path, mark.lower()) as alice, person(stack.url, tmp_path, "bob") as bob:
        for one in (alice, bob):
            hidden += [one.session.access_token, one.session.refresh_token, one.email.partition("@")[0]]
        library = await alice.library((bob, Role.EDITOR), name=library_name)
        await bob.api.follow(library, library)

        # The main job, both ways, with a conflict, a move and a removal.
        hers, his = tmp_path / "hers", tmp_path / "his"
        (hers / folder).mkdir(parents=True)
        (hers / folder / file).write_bytes(CONTENT)
        engines = Engine(alice.home, alice.api), Engine(bob.home, bob.api)
        try:
            links = [await engine.link(library, path) for engine, path in zip(engines, (hers, his), strict=True)]
            for engine, link in zip(engines, links, strict=True):
                assert (await engine.sync_once(link)).complete
            (hers / folder / file).write_bytes(CONTENT + b"hers")
            (his / folder / file).write_bytes(CONTENT + b"his")
            for engine, link in zip(engines, links, strict=True):
                await engine.sync_once(link)
            (his / folder).rename(his / f"{folder} moved")
            assert (await engines[1].sync_once(links[1])).complete
        finally:
            for engine in engines:
                engine.close()

        # What is refused, and what goes wrong.
        answer, permitted = await alice.permit(library, f"{mark} forged.txt", CONTENT, direct=True)
        hidden += [permitted.permit, answer.credential.secret_access_key, answer.credential.session_token]
        prefix = permitted.key.rpartition("/")[0]
        async with s3_of(answer.credential) as s3:
            await s3.put_object(Bucket=answer.credential.bucket, Key=f"{prefix}/{mark} stray.txt", Body=CONTENT)
            await put(s3, answer.credential, permitted, CONTENT, Metadata={"permit": mark})
        for wrong in (f"{mark}/slash", f"{mark}\0", mark * 20):
            with pytest.raises(Refused):
                await alice.permit(library, wrong, CONTENT)
        with pytest.raises(Refused):
            await alice.api.find(library, f"{mark}/nowhere")
        with pytest.raises(Refused):
            await alice.api.sign_in(f"{mark}@example.org", f"{mark} password", mark)

        mails = await eventually(lambda: _mails_to(stack, bob.email), until=bool)
        assert mark in mails[0]
        await eventually(lambda: _forged_judged(stack, library), until=bool)

    keys = msgspec.json.decode((stack.place.secrets / "services.json").read_bytes())
    hidden += [key["secret"] for kept in keys.values() for key in kept]
    for path in stack.place.logs.glob("*.log"):
        text = path.read_text()
        assert [word for word in hidden if word in text or word in text.lower()] == [], path.name

    lines = lines_of(stack)
    assert all(lines.values())
    for line in lines["gateway"]:
        if line["event"] == "request":
            assert line["request"]
    changed = [line for line in lines["gateway"] if line.get("route", "").endswith("/commits")]
    mine = [line for line in changed if line.get("library") == library]
    assert {line["account"] for line in mine} == {alice.session.account.id, bob.session.account.id}
    decided = {line["command"]: line["seq"] for line in lines["metadata"] if line["event"] == "decided"}
    assert all(decided[line["command"]] == line["seq"] for line in mine), "one command is found in both services"
    assert any(
        line["event"] == "published" and line["library"] == library and line["seq"] for line in lines["metadata"]
    )


async def _mails_to(stack: EmbeddedStack, email: str) -> list[str]:
    await asyncio.sleep(0)
    return [mail.as_string() for mail in stack.mails() if email in str(mail["To"])]


async def _forged_judged(stack: EmbeddedStack, library: str) -> bool:
    """Whether intake has met the object with the forged permit."""
    await asyncio.sleep(0)
    return any("bad-permit" in line.get("reason", "") for line in _lines(stack.place.logs / "metadata.log"))
