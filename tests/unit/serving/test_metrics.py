"""What the services expose, and what docs/operations.md says they do.

``python -m tests.unit.serving.test_metrics`` prints the tables as they have to be there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.metrics import Exposed, exposed

DOCS = Path(__file__).resolve().parents[3] / "docs" / "operations.md"
SERVICE = "SERVICE"
UNITS = ("_seconds", "_total", "_bytes", "_percent")
COUNTS_OF_NOW = (
    "pulse_held_requests",
    "requests_in_flight",
    "held_requests",
    "tree_changes",
    "rounds_missed",
    "failed_in_a_row",
)


def tables() -> dict[str, list[str]]:
    """The rows of the tables: those of all services under SERVICE, then each service's own."""
    by_service = {service: {_without(service, one): one for one in found} for service, found in exposed().items()}
    shared = set.intersection(*(set(found) for found in by_service.values()))
    rows = {SERVICE: [_row(SERVICE, name, by_service["gateway"][name]) for name in sorted(shared)]}
    for service, found in by_service.items():
        rows[service] = [_row(service, name, found[name]) for name in sorted(found.keys() - shared)]
    return {service: found for service, found in rows.items() if found}


def _without(service: str, one: Exposed) -> str:
    return one.shown.removeprefix(f"syncline_{service}_")


def _row(service: str, name: str, one: Exposed) -> str:
    labels = "{" + ",".join(one.labels) + "}" if one.labels else ""
    return f"| `syncline_{service}_{name}{labels}` | {one.kind} | {one.meaning} |"


def rows_in_docs() -> Iterator[str]:
    text = DOCS.read_text()
    section = text[text.index("### Metrics\n") :]
    for line in section[: section.index("\n### ")].splitlines():
        if line.startswith("| `syncline_"):
            yield line


def test_the_documentation_lists_what_the_services_expose():
    assert list(rows_in_docs()) == [row for rows in tables().values() for row in rows]


@pytest.mark.parametrize("one", [one for found in exposed().values() for one in found], ids=lambda one: one.shown)
def test_names_say_their_unit(one: Exposed):
    assert re.fullmatch(r"syncline_[a-z0-9_]+", one.name)
    assert one.shown.endswith(UNITS) or one.name.endswith(COUNTS_OF_NOW)
    assert not one.name.endswith("_total"), "the library adds it"
    assert one.meaning.endswith(".")


if __name__ == "__main__":
    for service, rows in tables().items():
        print(f"\n| {'every service' if service == SERVICE else service} | | |\n|---|---|---|")
        print("\n".join(rows))
