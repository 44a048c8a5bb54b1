"""What a pass without news costs the client, by the number of files: peak memory of the whole process, and seconds.

    python -m bench.bench_client_memory [--files N N …] [--rounds N] [--json]

The folder and the index are generated (small files, 100 in a folder, base and library's tree alike), so nothing is
uploaded; the service is a process of its own that has no changes to tell. The client is the real ``syncline sync`` and
the real daemon. Peaks are those that Linux counts (VmHWM, ru_maxrss); the median over the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from aiohttp import web

from syncline.client.disk import Disk, folder_stat
from syncline.client.hashing import stat_of
from syncline.client.home import Home, SavedSession, SessionFile
from syncline.client.index import Index, Link
from syncline.client.trees import BaseNode, Content, RemoteNode
from syncline.domain.checksums import checksum_of
from syncline.domain.ids import id_from_bytes
from syncline.domain.nodes import Kind
from syncline.messages import api as m

HOST = "127.0.0.1"
FILES_IN_A_FOLDER = 100
FOLDERS_IN_A_FOLDER = 50
NODES_AT_ONCE = 5_000
QUIET_POLLS, POLL_S = 4, 0.5
LAUNCH = """
import json, os, sys, time
began = time.monotonic()
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(pid, 0)
print(json.dumps([status, used.ru_maxrss * 1024, time.monotonic() - began]), file=sys.stderr)
"""
"""A process that was started inherits its starter's peak, so the starter is a small one."""


def serve() -> None:
    """The other process: a library at seq 1 that never changes."""

    def answer(body: object) -> web.Response:
        return web.Response(body=msgspec.msgpack.encode(body), content_type="application/msgpack")

    async def changes(_: web.Request) -> web.Response:
        return answer(m.Changes(changes=[], cursor="cursor", seq=1, more=False))

    async def heads(request: web.Request) -> web.Response:
        await asyncio.sleep(int(request.query.get("wait", "0")))
        return answer(m.Heads(heads=[], token="1"))

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/v1/sync/libraries/{library}/changes", changes)
        app.router.add_get("/v1/sync/heads", heads)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


def generate(home: Home, folder: Path, files: int) -> None:
    """A linked folder in sync with its library, and the index that says so."""
    library, marker = _id("library"), "marker"
    stat = Disk(folder).mark(marker)
    link = Link(_id("link"), library, "Bench", str(folder), stat.st_dev, stat.st_ino, marker)
    index = Index(home.index_path)
    index.add_link(link)
    nodes: list[BaseNode] = []
    for node in _nodes(folder, library, files):
        nodes.append(node)
        if len(nodes) == NODES_AT_ONCE:
            _hold(index, link, nodes)
            nodes.clear()
    _hold(index, link, nodes)
    index.close()


def _hold(index: Index, link: Link, nodes: list[BaseNode]) -> None:
    index.agree(link, nodes)
    index.learn(link, [_remote(node) for node in nodes], (), cursor="cursor", seq=1)


def _nodes(folder: Path, library: str, files: int) -> Iterator[BaseNode]:
    above, above_path, at, at_path = library, folder, library, folder
    for number in range(files):
        folders, inside = divmod(number, FILES_IN_A_FOLDER)
        if not inside and not folders % FOLDERS_IN_A_FOLDER:
            above_path = folder / f"folders {folders // FOLDERS_IN_A_FOLDER}"
            yield (made := _folder(above_path, library))
            above = made.node
        if not inside:
            at_path = above_path / f"folder {folders}"
            yield (made := _folder(at_path, above))
            at = made.node
        yield _file(at_path / f"file number {number}.txt", at)


def _folder(path: Path, parent: str) -> BaseNode:
    path.mkdir()
    stat = folder_stat(path.stat())
    return BaseNode(_id(str(path)), parent, path.name, path.name, Kind.FOLDER, 1, stat=stat)


def _file(path: Path, parent: str) -> BaseNode:
    body = path.name.encode()
    path.write_bytes(body)
    content = Content(len(body), checksum_of(body), False)
    node = _id(str(path))
    return BaseNode(node, parent, path.name, path.name, Kind.FILE, 1, node, content, stat_of(path.stat()))


def _remote(node: BaseNode) -> RemoteNode:
    key = f"{node.parent}/{node.node}" if node.content else ""
    size = node.content.size_bytes if node.content else 0
    return RemoteNode(
        node.node,
        node.parent,
        node.name,
        node.kind,
        1,
        node.version,
        node.content,
        key=key,
        s3_version=key,
        length=size,
    )


def _id(text: str) -> str:
    return id_from_bytes(checksum_of(text.encode()).encode()[:16])


def sync(environ: dict[str, str]) -> tuple[int, float]:
    """(peak in bytes, seconds) of one pass, as a whole process."""
    command = [sys.executable, "-S", "-c", LAUNCH, sys.executable, "-m", "syncline.client.cli", "sync"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    status, peak, seconds = json.loads(done.stderr.splitlines()[-1])
    if status or "nothing to do; in sync" not in done.stdout:
        raise SystemExit(f"not a pass without news: {done.stdout}{done.stderr}")
    return peak, seconds


def daemon(environ: dict[str, str]) -> int:
    """Peak in bytes of a daemon, once it watches and rests."""
    command = [sys.executable, "-m", "syncline.client.cli", "start", "--foreground"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL) as process:
        quiet, before = 0, ""
        while quiet < QUIET_POLLS:
            time.sleep(POLL_S)
            spent = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
            quiet, before = (quiet + 1 if str(spent) == before else 0), str(spent)
        status = Path(f"/proc/{process.pid}/status").read_text()
        process.send_signal(signal.SIGTERM)
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def measure(files: int, server: str, rounds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as base:
        home, folder = Home(Path(base, "home")), Path(base, "folder")
        folder.mkdir()
        session = SavedSession(
            server=server,
            account="account",
            email="bench@example.org",
            account_name="Bench",
            device="device",
            device_name="bench",
            refresh_token="refresh",
            access_token="access",
            access_until=time.time() + 86_400,
        )
        SessionFile(home).save(session)
        generate(home, folder, files)
        environ = {**os.environ, "SYNCLINE_HOME": str(home.path)}
        sync(environ)  # settles what was written a moment ago
        passes = [sync(environ) for _ in range(rounds)]
        return {
            "files": files,
            "sync_seconds": statistics.median(seconds for _, seconds in passes),
            "sync_peak_bytes": statistics.median(peak for peak, _ in passes),
            "daemon_peak_bytes": daemon(environ),
        }


def report(found: list[dict[str, float]]) -> None:
    for row in found:
        sync_mib, daemon_mib = row["sync_peak_bytes"] / 2**20, row["daemon_peak_bytes"] / 2**20
        took = f"sync {row['sync_seconds']:.2f} s, peak {sync_mib:.1f} MiB; daemon, peak {daemon_mib:.1f} MiB"
        print(f"{row['files']:>9,.0f} files: {took}")
    first, last = found[0], found[-1]
    for name in ("sync_peak_bytes", "daemon_peak_bytes") if last["files"] > first["files"] else ():
        a_file = (last[name] - first[name]) / (last["files"] - first["files"])
        print(f"{name.removesuffix('_peak_bytes')}: {a_file:.1f} bytes for each further file")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, nargs="+", default=[10_000, 300_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
        return
    command = [sys.executable, "-m", "bench.bench_client_memory", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            address = f"http://{HOST}:{server.stdout.readline().strip()}"
            found = [measure(files, address, arguments.rounds) for files in arguments.files]
        finally:
            server.terminate()
    print(json.dumps(found)) if arguments.json else report(found)


if __name__ == "__main__":
    main()
