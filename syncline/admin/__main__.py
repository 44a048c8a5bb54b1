"""``syncline-admin``, also ``python -m syncline.admin``: the operator's command on AWS."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from syncline.admin.app import run
from syncline.admin.ports import Ports
from syncline.domain.errors import Broken
from syncline.domain.ids import id_from_bytes
from syncline.domain.permits import PermitKey, PermitKeys
from syncline.memory.cache import MemoryCache

ID_RANDOM_BYTES = 13


@asynccontextmanager
async def open_aws() -> AsyncIterator[Ports]:
    try:
        from syncline.aws.clock import AwsClock  # the client's install lacks what these need
        from syncline.aws.connect import connect
        from syncline.aws.settings import Settings
    except ModuleNotFoundError as error:
        raise Broken(f"{error.name} is missing: install syncline[server]") from None
    settings = Settings.from_environ(os.environ)
    keys = PermitKeys(tuple(PermitKey(key.id, key.secret) for key in settings.secrets().permit_keys))
    clock = AwsClock()
    async with connect(settings, clock) as aws:
        yield Ports(
            tables=aws.tables,
            objects=aws.objects,
            queues=aws.queues,
            topic=aws.topic,
            # Redis on AWS is reached from its network only; it is speed, and what others have cached there ends soon.
            cache=aws.cache if settings.has("SYNCLINE_REDIS_URL") else MemoryCache(clock),
            clock=clock,
            new_id=lambda: id_from_bytes(secrets.token_bytes(ID_RANDOM_BYTES)),
            permit_keys=keys,
        )


def main() -> int:
    return run(open_aws)


if __name__ == "__main__":
    sys.exit(main())
