"""What a stack's tables and queues are called: everything begins with the stack's name."""

from __future__ import annotations

from syncline.ports.queues import Queue
from syncline.ports.tables import Table


def table_name(stack: str, table: Table) -> str:
    return f"{stack}-{table.value}"


def queue_name(stack: str, queue: Queue) -> str:
    return f"{stack}-{queue.value}{_suffix(queue)}"


def dead_queue_name(stack: str, queue: Queue) -> str:
    return f"{stack}-{queue.value}-dead{_suffix(queue)}"


def _suffix(queue: Queue) -> str:
    return ".fifo" if queue is Queue.COMMITS else ""
