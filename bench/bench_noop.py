"""What a sync without news costs as a whole process, on 10,000 files, beside two other tools on the same tree.

    python -m bench.bench_noop [--files N] [--rounds N] [--data DIR] [--json]

``syncline sync`` without a daemon against ``rclone bisync`` (see ``rclone.py`` for its options) with the embedded
stack's S3; then ``syncline sync`` while a daemon runs against ``unison -batch`` between alice's and bob's tree. The two
take turns, so that whatever else the machine does meets both. Ratios are of the medians over the rounds.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
from collections.abc import Callable, Mapping

from bench.rclone import FAST, Rclone
from bench.two_clients import TREE, Spent, TwoClients, arguments, daemons, run, say, timed, two_clients
from deploy.local.people import Person

Runs = dict[str, list[Spent]]

NO_NEWS = "nothing to do; in sync"


def alternate(programs: Mapping[str, Callable[[], Spent]], rounds: int) -> Runs:
    """Each program's runs, in turns. The first round only warms up."""
    found: Runs = {name: [] for name in programs}
    for round_ in range(rounds + 1):
        for name, program in programs.items():
            spent = program()
            if round_:
                found[name].append(spent)
    return found


def sync(person: Person) -> Spent:
    """One ``syncline sync``, which must be one without news."""
    spent = run(person, "sync")
    if NO_NEWS not in spent.printed:
        raise SystemExit(f"not a sync without news: {spent.printed}")
    return spent


def without_daemon(clients: TwoClients, rounds: int) -> Runs:
    fast, plain = (
        Rclone(clients.place, clients.alice.folder / TREE, clients.place.aws_url, options) for options in (FAST, ())
    )
    for rclone in (fast, plain):
        say(f"rclone bisync --resync {' '.join(rclone.options)}: {rclone.resync().seconds:.1f} s")
    programs = {"syncline sync": lambda: sync(clients.alice), "rclone bisync": fast.bisync}
    as_it_comes = alternate({"rclone bisync, as it comes": plain.bisync}, rounds=1)
    return alternate(programs, rounds) | as_it_comes


def with_daemon(clients: TwoClients, rounds: int) -> Runs:
    programs = {"syncline sync, daemon": lambda: sync(clients.alice)}
    if shutil.which("unison"):
        roots = [str(person.folder / TREE) for person in (clients.alice, clients.bob)]
        words = ["unison", *roots, "-batch", "-auto", "-silent", "-log=false"]
        environ = {**os.environ, "UNISON": str(clients.place.data / "unison")}
        programs["unison"] = lambda: timed(words, environ)
    else:
        say("no unison on this machine: nothing to compare the daemon with")
    with daemons(clients.alice):
        return alternate(programs, rounds)


def main() -> None:
    options = arguments(__doc__, rounds=9).parse_args()
    with two_clients(options.data, options.files) as clients:
        runs = without_daemon(clients, options.rounds) | with_daemon(clients, options.rounds)
    medians = {
        name: {
            "seconds": statistics.median(each.seconds for each in spent),
            "cpu_seconds": statistics.median(each.cpu_seconds for each in spent),
        }
        for name, spent in runs.items()
    }
    pairs = {"syncline sync": "rclone bisync", "syncline sync, daemon": "unison"}
    ratios = {
        f"{ours} / {theirs}": medians[ours]["seconds"] / medians[theirs]["seconds"]
        for ours, theirs in pairs.items()
        if theirs in medians
    }
    if options.json:
        print(json.dumps({"files": options.files, "medians": medians, "ratios": ratios}))
        return
    for name, took in medians.items():
        print(f"{name:<28} {took['seconds'] * 1000:8.0f} ms, {took['cpu_seconds'] * 1000:7.0f} ms of its own CPU")
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.2f}")


if __name__ == "__main__":
    main()
