"""What every tier of tests shares."""

import os

from hypothesis import settings

# No test is timed: a slow machine is no failure. A failing example prints what replays it.
settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
