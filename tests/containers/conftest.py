"""What tests of containers share: one stack of docker-compose.yml for the whole session."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.containers.composed import ComposedStack, composed_stack, why_no_engine

SECONDS_MAX = 1500
"""Of one test, with the building of the images if it is the first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    for item in here:
        item.add_marker(pytest.mark.slow)
        item.add_marker(pytest.mark.timeout(SECONDS_MAX))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposedStack]:
    """A scaled-out stack, shared by all tests: each uses accounts of its own and heals what it hurts."""
    if why_not := why_no_engine():
        pytest.skip(f"no Docker engine with Compose: {why_not}")
    with composed_stack(tmp_path_factory.mktemp("composed")) as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed shows the last lines of every container."""
    report = yield
    running = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(running, ComposedStack):
        report.sections.append(("the containers' last lines", running.tails()))
    return report
