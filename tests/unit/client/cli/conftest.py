"""A service in a thread of its own, and people who use the command against it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.client.cli.people import Person
from tests.unit.client.cli.service import Service


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


@pytest.fixture
def alice(service: Service, tmp_path: Path) -> Person:
    """Signed in, with a library called Shared."""
    person = Person("alice", service.url, tmp_path)
    person.does("register", person.email, "--name", "Alice", "--device-name", "alice-laptop")
    person.does("library", "create", "Shared")
    return person


@pytest.fixture
def bob(service: Service, tmp_path: Path) -> Person:
    """Signed in, a member of nothing."""
    person = Person("bob", service.url, tmp_path)
    person.does("register", person.email, "--name", "Bob")
    return person
