"""Runs one program and ends it when told to, or when whoever started it is gone.

    python leash.py WATCHED_FD GRACE_SECONDS LINGER_SECONDS COMMAND...

WATCHED_FD is the read end of a pipe whose write end only the supervisor holds: its end is the
supervisor's end, even by SIGKILL. Then, after LINGER_SECONDS (so that programs others depend on go
last), and on SIGTERM at once, the program gets SIGTERM, once more at half of GRACE_SECONDS (a hurried
stop), and SIGKILL at their end. Nothing but the standard library, and nothing but POSIX.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections import deque

READ_BYTES = 4096
SIGNALLED_STATUS = 128


def run(watched: int, grace_seconds: float, linger_seconds: float, command: list[str]) -> int:
    """Run `command` to its end; its exit status, 128 + n after signal n."""
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)

    program = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    watching = [woken, watched]
    plan: deque[tuple[float, int]] = deque()
    while program.poll() is None:
        wait = max(0.0, plan[0][0] - time.monotonic()) if plan else None
        readable, _, _ = select.select(watching, [], [], wait)
        if woken in readable and signal.SIGTERM in os.read(woken, READ_BYTES):
            plan = stop_plan(time.monotonic(), grace_seconds)
        if watched in readable and not os.read(watched, READ_BYTES):
            watching.remove(watched)
            plan = plan or stop_plan(time.monotonic() + linger_seconds, grace_seconds)
        while plan and plan[0][0] <= time.monotonic():
            program.send_signal(plan.popleft()[1])
    status = program.returncode
    return status if status >= 0 else SIGNALLED_STATUS - status


def stop_plan(start: float, grace_seconds: float) -> deque[tuple[float, int]]:
    """When to send which signal, from the monotonic time `start` on."""
    return deque(
        [
            (start, signal.SIGTERM),
            (start + grace_seconds / 2, signal.SIGTERM),
            (start + grace_seconds, signal.SIGKILL),
        ]
    )


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]))
