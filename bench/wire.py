"""A counting wire: what is sent through it reaches a server on this machine, and how many bytes that was is known."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType

from deploy.local.place import HOST

CHUNK_BYTES = 2**16


class Wire:
    """Listens on a port of its own and forwards to ``to_port``. ``sent`` counts bytes to there, of all connections."""

    def __init__(self, to_port: int = 0) -> None:
        self.to_port = to_port
        self.sent = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def __enter__(self) -> Wire:
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._connected, HOST, 0), self._loop).result()
        self.port = server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _connected(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            server, to_server = await asyncio.open_connection(HOST, self.to_port)
        except OSError:
            to_client.close()
            return
        await asyncio.gather(self._pass_on(client, to_server, counted=True), self._pass_on(server, to_client))

    async def _pass_on(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, counted: bool = False
    ) -> None:
        try:
            while chunk := await source.read(CHUNK_BYTES):
                self.sent += len(chunk) if counted else 0
                target.write(chunk)
                await target.drain()
        except OSError:
            pass  # one side went away, and so does the other
        finally:
            target.close()
