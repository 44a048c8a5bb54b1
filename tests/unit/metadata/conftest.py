from __future__ import annotations

import pytest

from tests.unit.metadata.world import World


@pytest.fixture
async def world() -> World:
    return await World().begin()
