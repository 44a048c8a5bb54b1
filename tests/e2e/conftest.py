"""What end-to-end tests share: one real embedded stack for the whole session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.embedded import DIGEST_WINDOW_SECONDS, EmbeddedStack, running_stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """A real embedded stack on free ports, shared by all tests: each uses accounts of its own."""
    window = f"SYNCLINE_DIGEST_WINDOW_SECONDS={DIGEST_WINDOW_SECONDS}"
    with running_stack(tmp_path_factory.mktemp("stack"), "--set", window) as running:
        yield running
