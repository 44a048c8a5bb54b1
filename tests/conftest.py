"""What every tier of tests shares."""

import os
import signal

from hypothesis import settings

# No test is timed: a slow machine is no failure. A failing example prints what replays it. CI tries the same examples
# each time, so that what it says of a change is about the change; everybody else tries new ones.
settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_configure() -> None:
    # A shell's background job starts with SIGINT ignored, and so would everything that tests start and interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
