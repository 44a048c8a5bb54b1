"""The embedded stack as a whole: up, down, killed, and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

from deploy.definition import SERVICES
from tests.e2e.embedded import (
    descendants,
    free_place,
    process_of,
    running_stack,
    start_stack,
    stop,
    wait_ready,
)

GONE_SECONDS_MAX = 60


def living(processes: set[int]) -> set[int]:
    listed = subprocess.run(["ps", "-eo", "pid=,stat="], capture_output=True, text=True, check=True)
    states = dict(line.split() for line in listed.stdout.splitlines())
    return {one for one in processes if not states.get(str(one), "Z").startswith("Z")}


def wait_gone(processes: set[int]) -> None:
    deadline = time.monotonic() + GONE_SECONDS_MAX
    while remains := living(processes):
        assert time.monotonic() < deadline, f"still there: {remains}"
        time.sleep(0.1)


def test_one_address_is_ready_when_all_services_are(stack):
    with urllib.request.urlopen(stack.url + "/readyz") as response:
        assert json.load(response) == dict.fromkeys(SERVICES, "ready")


def test_services_run_on_keys_of_their_own(stack):
    keys = {stack.key(service).id for service in SERVICES}
    assert len(keys) == len(SERVICES)
    for file in stack.place.secrets.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600


def test_a_service_that_is_killed_comes_back(stack):
    before = process_of(stack, "-m services.syncer")
    os.kill(before, signal.SIGKILL)
    wait_gone({before})
    stack.wait_ready()
    assert process_of(stack, "-m services.syncer") != before


def test_a_second_stack_on_the_same_data_is_refused(stack):
    place = free_place(stack.place.data)
    out = stack.place.data / "stack.out"
    size = out.stat().st_size
    assert start_stack(place).wait(60) == 1
    assert f"Another stack (process {stack.process.pid}) runs on" in out.read_bytes()[size:].decode()
    stack.wait_ready()


def test_a_busy_port_is_told_and_nothing_starts(stack, tmp_path):
    place = free_place(tmp_path)
    taken = type(place)(tmp_path, stack.place.ports)
    process = start_stack(taken)
    assert process.wait(60) == 1
    told = (tmp_path / "stack.out").read_text()
    assert f"Port {stack.place.ports.front} (for front) is not free" in told
    assert "Traceback" not in told


def test_it_stops_cleanly_and_finds_everything_again(tmp_path: Path):
    with running_stack(tmp_path, "--quiet") as first:
        processes = descendants(first.process.pid)
        keys = {service: first.key(service) for service in SERVICES}
        assert stop(first.process) == 0
        wait_gone(processes)
        told = (tmp_path / "stack.out").read_text()
        assert "Traceback" not in told
        assert told.rstrip().endswith("Stopped; everything is kept.")
    again = start_stack(first.place)
    try:
        wait_ready(first.place, again)
        assert {service: first.key(service) for service in SERVICES} == keys
    finally:
        assert stop(again, signal.SIGTERM) == 0


def test_nothing_outlives_it_when_it_is_killed(tmp_path: Path):
    with running_stack(tmp_path) as running:
        processes = descendants(running.process.pid)
        assert len(processes) > 2 * len(SERVICES)
        running.process.kill()
        running.process.wait()
        wait_gone(processes)
        # The local AWS was ended by its leash, and saved its state.
        assert (running.place.aws_state / "state" / "sqs.json").exists()
        again = start_stack(running.place)
        try:
            wait_ready(running.place, again)
        finally:
            assert stop(again) == 0
