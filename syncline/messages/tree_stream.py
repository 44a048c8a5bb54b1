"""The stream that a snapshot is: a library's tree at a seq, for clients that begin or begin anew.

Wire form: gzip over msgpack ``bin`` objects, one after another, each holding one block ``[kind, body]``:
``["begin", [library, incarnation, seq]]``, then ``["nodes", [node, …]]`` as often as need be, nodes in order of their
ids, last ``["end", nodes]`` with their number. A node is ``syncline.domain.nodes.Node`` as the journal has it. The
stream holds every node that has not been removed itself, also those in removed folders, but not the root: exactly what
the changes up to ``seq`` leave behind. A reader skips blocks of a kind that it does not know.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from syncline.domain.nodes import Node
from syncline.messages.envelope import Unreadable

NODES_PER_BLOCK = 500
BLOCK_BYTES_MAX = 16 * 1024 * 1024
"""500 nodes with the longest names take about a megabyte."""
_GZIP = 31
_INFLATED_AT_ONCE = 1024 * 1024
_BIN32 = b"\xc6"
_HEAD_BYTES = 5


class Begin(msgspec.Struct, frozen=True, array_like=True):
    library: str
    incarnation: str
    seq: int


class _Block(msgspec.Struct, frozen=True, array_like=True):
    kind: str
    body: msgspec.Raw


class TreeEncoder:
    """Encodes one stream: ``begin``, ``nodes`` in order of id, ``end``. The same tree gives the same bytes."""

    def __init__(self) -> None:
        self._gzip = zlib.compressobj(wbits=_GZIP)
        self.nodes_written = 0

    def begin(self, begin: Begin) -> bytes:
        return self._block("begin", begin)

    def nodes(self, nodes: Sequence[Node]) -> bytes:
        """At most ``NODES_PER_BLOCK`` nodes."""
        self.nodes_written += len(nodes)
        return self._block("nodes", nodes)

    def end(self) -> bytes:
        return self._block("end", self.nodes_written) + self._gzip.flush()

    def _block(self, kind: str, body: object) -> bytes:
        block = msgspec.msgpack.encode([kind, body])
        return self._gzip.compress(_BIN32 + len(block).to_bytes(4, "big") + block)


class TreeDecoder:
    """Decodes a stream as it comes. ``begin`` is there after the first block; ``finish`` says whether all came."""

    def __init__(self) -> None:
        self.begin: Begin | None = None
        self._gzip = zlib.decompressobj(wbits=_GZIP)
        self._waiting = bytearray()
        self._seen = 0
        self._ended = False

    def feed(self, piece: bytes) -> Iterator[Node]:
        """The nodes that became whole with this piece. Raises ``Unreadable``."""
        data = piece
        while data or self._gzip.unconsumed_tail:
            try:
                inflated = self._gzip.decompress(data or self._gzip.unconsumed_tail, _INFLATED_AT_ONCE)
            except zlib.error as error:
                raise Unreadable(f"not a snapshot: {error}") from None
            data = self._gzip.unconsumed_tail
            self._waiting += inflated
            for block in self._blocks():
                yield from self._read(block)
            if self._gzip.eof:
                return

    def finish(self) -> None:
        """Raises ``Unreadable`` when the stream was cut off."""
        if not self._ended or not self._gzip.eof or self._waiting:
            raise Unreadable("a snapshot that was cut off")

    def _blocks(self) -> Iterator[bytes]:
        while len(self._waiting) >= _HEAD_BYTES:
            length = int.from_bytes(self._waiting[1:_HEAD_BYTES], "big")
            if self._waiting[:1] != _BIN32 or length > BLOCK_BYTES_MAX:
                raise Unreadable("not a snapshot: a block is none")
            if len(self._waiting) < _HEAD_BYTES + length:
                return
            block = bytes(self._waiting[_HEAD_BYTES : _HEAD_BYTES + length])
            del self._waiting[: _HEAD_BYTES + length]
            yield block

    def _read(self, wire: bytes) -> Iterable[Node]:
        try:
            block = _blocks.decode(wire)
            if self.begin is None:
                if block.kind != "begin":
                    raise Unreadable("a snapshot without a beginning")
                self.begin = msgspec.msgpack.decode(block.body, type=Begin)
            elif block.kind == "nodes":
                nodes = msgspec.msgpack.decode(block.body, type=list[Node])
                self._seen += len(nodes)
                return nodes
            elif block.kind == "end":
                self._ended = True
                if (expected := msgspec.msgpack.decode(block.body, type=int)) != self._seen:
                    raise Unreadable(f"a snapshot of {expected} nodes that holds {self._seen}")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unreadable(f"not a snapshot: {error}") from None
        return ()


_blocks = msgspec.msgpack.Decoder(_Block)
