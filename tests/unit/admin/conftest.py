from __future__ import annotations

import pytest

from tests.unit.admin.world import Operated


@pytest.fixture
async def world() -> Operated:
    return await Operated().begin()
