"""One edited file in 10,000: from its save on alice's disk to the same bytes on bob's, while both daemons watch.

    python -m bench.bench_one_edit [--files N] [--rounds N] [--debounce MS] [--data DIR] [--json]

Each edit appends to another file of the tree, at random; bob's file is looked at every 2 ms. What it takes holds the
debounce, during which a change must rest before it is sent. Median and 95th percentile of all edits.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from pathlib import Path

from bench.two_clients import TREE, TwoClients, arguments, daemons, run, say, two_clients

ARRIVE_S_MAX = 120.0
LOOK_S = 0.002
REST_S = (0.5, 1.5)
"""Between two edits, at random: long enough for both to come to rest, and in step with none of their pauses."""


def edit(clients: TwoClients, name: Path, number: int) -> float:
    """Seconds from one save until the same bytes are there."""
    here, there = clients.alice.folder / name, clients.bob.folder / name
    wanted = here.read_bytes() + f"edit {number} at {time.time_ns()}\n".encode()
    here.write_bytes(wanted)
    saved = time.monotonic()
    while there.stat().st_size != len(wanted) or there.read_bytes() != wanted:
        if time.monotonic() - saved > ARRIVE_S_MAX:
            raise SystemExit(f"{name} did not arrive within {ARRIVE_S_MAX:.0f} s")
        time.sleep(LOOK_S)
    return time.monotonic() - saved


def measure(clients: TwoClients, edits: int) -> list[float]:
    folder = clients.alice.folder
    names = sorted(path.relative_to(folder) for path in (folder / TREE).rglob("*.txt"))
    chance = random.Random()
    found = []
    for number in range(edits + 1):
        time.sleep(chance.uniform(*REST_S))
        seconds = edit(clients, chance.choice(names), number)
        say(f"edit {number}: {seconds * 1000:.0f} ms")
        if number:  # the first one warms up
            found.append(seconds)
    return sorted(found)


def main() -> None:
    parser = arguments(__doc__, rounds=30)
    parser.add_argument("--debounce", type=int, default=300)
    options = parser.parse_args()
    with two_clients(options.data, options.files) as clients:
        for person in (clients.alice, clients.bob):
            run(person, "start", "--debounce", str(options.debounce))
        with daemons(clients.alice, clients.bob):
            found = measure(clients, options.rounds)
    median, p95 = statistics.median(found), statistics.quantiles(found, n=20, method="inclusive")[-1]
    if options.json:
        print(json.dumps({"files": options.files, "debounce_ms": options.debounce, "seconds": found}))
        return
    print(f"{len(found)} edits among {options.files:,} files, debounce {options.debounce} ms:")
    print(f"median {median * 1000:.0f} ms, 95th percentile {p95 * 1000:.0f} ms, longest {found[-1] * 1000:.0f} ms")


if __name__ == "__main__":
    main()
