"""Models of how DynamoDB and S3 spread load. Pure; more pessimistic than the real ones where those are not told of.

DynamoDB keeps a table in partitions, each a range of the hash of partition keys, good for 1,000 write and 3,000 read
units a second; one that stays hot is split. (Developer guide, "Best practices for designing and using partition keys",
"Understanding DynamoDB warm throughput".) It can also split the rows of one partition key; that takes long, and is left
out here: a key is never good for more than one partition.

S3 keeps a bucket in ranges of keys, each good for 3,500 writes and 5,500 reads a second; one that stays hot is split.
(User guide, "Best practices design patterns: optimizing Amazon S3 performance".)
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

READS_MAX = 3_000
WRITES_MAX = 1_000
PARTITIONS_AT_FIRST = 4
"""A new table on demand takes 12,000 reads and 4,000 writes at once."""
S3_WRITES_MAX = 3_500


def place_of(partition_key: str) -> int:
    """Where a partition key lies in the space of hashes."""
    return int.from_bytes(hashlib.md5(partition_key.encode()).digest(), "big")


def throttled(reads: Mapping[str, float], writes: Mapping[str, float]) -> list[float]:
    """Units a second that a new table refuses under a steady load, by partition key: at first, and after each time that
    its hot partitions were split. Ends when nothing is refused, or no split helps."""
    keys = sorted((place_of(key), reads.get(key, 0.0), writes.get(key, 0.0)) for key in reads.keys() | writes.keys())
    partitions = [
        [key for key in keys if n <= key[0] * PARTITIONS_AT_FIRST >> 128 < n + 1] for n in range(PARTITIONS_AT_FIRST)
    ]
    refused = []
    while True:
        refused.append(sum(map(_excess, partitions)))
        split = [part for one in partitions for part in (_halves(one) if _excess(one) else [one])]
        if len(split) == len(partitions):
            return refused
        partitions = split


_Key = tuple[int, float, float]


def _excess(keys: Sequence[_Key]) -> float:
    read, written = sum(key[1] for key in keys), sum(key[2] for key in keys)
    return max(0.0, read - READS_MAX) + max(0.0, written - WRITES_MAX)


def _halves(keys: list[_Key]) -> list[list[_Key]]:
    """A partition split where half of its heat lies on either side, as near as whole keys allow."""
    if len(keys) == 1:
        return [keys]
    heat = [read / READS_MAX + written / WRITES_MAX for _, read, written in keys]
    passed = list(accumulate(heat))
    middle = min(max(1, bisect.bisect_left(passed, passed[-1] / 2)), len(keys) - 1)
    return [keys[:middle], keys[middle:]]


def s3_ranges_needed(keys: Iterable[str], writes_per_s: float, *, splits_max: int) -> int | None:
    """Into how many ranges S3 has to split the bucket until all are good for their part of so many writes a second,
    spread evenly over ``keys``. None when ``splits_max`` are not enough: no split helps whom one key, or the end of an
    ever growing one, gets all."""
    ordered = sorted(keys)
    each = writes_per_s / len(ordered)
    ranges, splits = [(0, len(ordered))], 0
    while hot := [one for one in ranges if (one[1] - one[0]) * each > S3_WRITES_MAX]:
        for first, end in hot:
            if splits == splits_max or end - first == 1:
                return None
            middle = (first + end) // 2
            ranges.remove((first, end))
            ranges += [(first, middle), (middle, end)]
            splits += 1
    return len(ranges)
