"""Sending changes that carry no bytes: folders, moves, removals."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from contextlib import closing

import click

from syncline.client.api import Api
from syncline.client.cli.calling import Answer, Call
from syncline.client.cli.outcomes import told
from syncline.client.cli.remote import RemotePath
from syncline.client.index import Index
from syncline.domain.commands import MAX_REQUESTS
from syncline.domain.ids import id_from_bytes
from syncline.messages.api import CommitBody, CommitRequest, Library


async def commit(
    call: Call,
    api: Api,
    library: Library,
    requests: Sequence[CommitRequest],
    *,
    paths: Sequence[str],
    done: Sequence[str],
    all_or_nothing: bool = False,
) -> Answer:
    """Send requests as one command and tell what became of them; ``paths`` name what each one is about."""
    body = CommitBody(requests=list(requests), counter=next_counter(call), all_or_nothing=all_or_nothing)
    return told(library, await api.commit(library.id, body), done, paths)


def next_counter(call: Call) -> int:
    """This device's next number: what it does later is newer, whichever way it reaches the service."""
    with closing(Index(call.home.index_path)) as index:
        return index.next_counter(time.time_ns() // 1_000_000)


def new_id() -> str:
    return id_from_bytes(secrets.token_bytes(16))


def one_library(paths: Sequence[RemotePath]) -> str:
    """The library all paths are in, as it was written. Raises a usage error when there are several."""
    if len(paths) > MAX_REQUESTS:
        raise click.UsageError(f"At most {MAX_REQUESTS} paths at a time.", click.get_current_context())
    libraries = {path.library for path in paths}
    if len(libraries) > 1:
        told = ", ".join(sorted(libraries))
        raise click.UsageError(f"All paths must be in one library; these are in {told}.", click.get_current_context())
    return libraries.pop()
