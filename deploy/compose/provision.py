"""`provision` of compose: brings the local AWS to the definition, and gives each identity its keys, at every start.

Each identity has a volume of its own, with its AWS key and only those signing keys that it uses.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from deploy.compose.aws import ROOT_KEY
from deploy.definition import SIGNING_KEYS
from deploy.local import aws
from deploy.local.aws import AccessKey
from deploy.local.keeping import PATH, authorization
from deploy.local.place import write_private, write_private_text
from deploy.local.provision import create, embedded_definition, signing_keys

KEPT = Path("/data/keys")
KEYS = Path("/keys")
SAVE_SECONDS_MAX = 60


async def main() -> None:
    """Provision. Raises what stands in the way: compose then starts no service."""
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    root = aws.kept_root_key(ROOT_KEY)
    definition = embedded_definition()
    keys = await create(definition, endpoint=endpoint, root=root, kept=KEPT / "aws-services.json")
    signing = signing_keys(KEPT / "services.json")
    for identity in definition.identities:
        hand_over(KEYS / identity.service, keys[identity.service], signing, SIGNING_KEYS[identity.service])
    await _keep(endpoint, root)


def hand_over(folder: Path, key: AccessKey, signing: Mapping[str, object], kinds: tuple[str, ...]) -> None:
    """Write what one identity finds at `/etc/syncline`: its AWS key, and the signing keys of `kinds`."""
    credentials = f"[default]\naws_access_key_id = {key.id}\naws_secret_access_key = {key.secret}\n"
    write_private_text(folder / "aws-credentials", credentials)
    write_private(folder / "signing-keys.json", {kind: signing[kind] for kind in kinds})


async def _keep(endpoint: str, root: AccessKey) -> None:
    timeout = aiohttp.ClientTimeout(total=SAVE_SECONDS_MAX)
    headers = {"Authorization": authorization(root.secret)}
    async with (
        aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
        session.post(endpoint + PATH, headers=headers),
    ):
        pass


if __name__ == "__main__":
    asyncio.run(main())
