"""What one small request to S3 costs the client: our own signing over aiohttp against AWS's SDK, side by side.

    python -m bench.bench_s3_client [--requests N] [--rounds N] [--json]

Both PUT the same small body with a checksum and metadata, one after another, to a server in a process of its own that
answers at once; what is counted is this process's CPU time. The ratio is that of the medians over the rounds, in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiobotocore.session import get_session
from aiohttp import web

from syncline.client.s3 import S3, sha256_base64
from syncline.messages.api import S3Credential

BODY = b"x" * 1000
CHECKSUM = sha256_base64(BODY)
METADATA = {"permit": "p" * 700}
HOST = "127.0.0.1"

Put = Callable[[int], Awaitable[object]]


class Fixed:
    """A credential that never ends."""

    def __init__(self, credential: S3Credential) -> None:
        self._credential = credential

    async def current(self) -> S3Credential:
        return self._credential

    async def renewed(self, spent: S3Credential) -> S3Credential:
        return spent


def serve() -> None:
    """The other process: answers everything with 200, and prints the port it found."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(headers={"x-amz-version-id": "v1", "ETag": '"0"'})

    async def run() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


@asynccontextmanager
async def clients(port: int) -> AsyncIterator[dict[str, Put]]:
    credential = S3Credential(
        access_key_id="AKIAEXAMPLE",
        secret_access_key="s" * 40,
        session_token="t" * 400,
        expires_at=4_000_000_000,
        bucket="bench",
        region="eu-central-1",
        endpoint=f"http://{HOST}:{port}",
    )
    sdk = get_session().create_client(
        "s3",
        region_name=credential.region,
        endpoint_url=credential.endpoint,
        aws_access_key_id=credential.access_key_id,
        aws_secret_access_key=credential.secret_access_key,
        aws_session_token=credential.session_token,
    )
    async with aiohttp.ClientSession() as http, sdk as boto:
        ours = S3(Fixed(credential), http)

        async def by_ours(number: int) -> None:
            await ours.put(f"objects/{number}", BODY, checksum=CHECKSUM, metadata=METADATA)

        async def by_sdk(number: int) -> None:
            await boto.put_object(
                Bucket="bench",
                Key=f"objects/{number}",
                Body=BODY,
                ChecksumSHA256=CHECKSUM,
                Metadata=METADATA,
                IfNoneMatch="*",
            )

        yield {"ours": by_ours, "aiobotocore": by_sdk}


async def measure(port: int, requests: int, rounds: int) -> dict[str, float]:
    """Median CPU milliseconds of one request, by client."""
    spent: dict[str, list[float]] = {}
    async with clients(port) as puts:
        for round_ in range(rounds + 1):
            for name, put in puts.items():
                began = time.process_time()
                for number in range(requests):
                    await put(number)
                if round_:  # the first is for warming up
                    spent.setdefault(name, []).append((time.process_time() - began) * 1000 / requests)
    return {name: statistics.median(values) for name, values in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    server = subprocess.Popen(
        [sys.executable, "-c", "from bench.bench_s3_client import serve; serve()"], stdout=subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        found = asyncio.run(measure(int(server.stdout.readline()), options.requests, options.rounds))
    finally:
        server.terminate()
        server.wait()
    ratio = found["aiobotocore"] / found["ours"]
    if options.json:
        print(json.dumps({"cpu_ms": found, "ratio": ratio}))
        return
    for name, spent in found.items():
        print(f"{name:<12} {spent:6.2f} ms of CPU for one PUT of {len(BODY)} bytes")
    print(f"aiobotocore / ours: {ratio:.1f}")


if __name__ == "__main__":
    main()
