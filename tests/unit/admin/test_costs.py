"""The monthly bill: what it is reckoned from is what the code does, and it adds up."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from hypothesis import given, strategies as st

from deploy.aws import settings as deployed, watching
from deploy.definition import SERVICES
from services.syncer.hub import HELD_MAX
from syncline.admin.answers import Exit
from syncline.admin.app import run
from syncline.admin.costs.bill import TOKEN_S, bill, connected, cost, uploads
from syncline.admin.costs.calls import counted
from syncline.admin.costs.load import HELD_PER_SYNCER, METRICS, SHAPES, Load, Variant
from syncline.admin.costs.prices import CHECKED_ON, REGIONS, US_EAST_1, Price
from syncline.admin.ports import Ports
from syncline.domain.errors import Temporary
from syncline.serving.auth import ACCESS_TOKEN_S
from syncline.serving.sync_routes import HEADS_WAIT_S_MAX
from tests.unit.admin.counted import COUNTED

CALLS = counted()
LOADS = st.builds(
    Load,
    users=st.integers(0, 10**8),
    files=st.integers(0, 10**12),
    changes_per_day=st.floats(0, 1e4),
    file_bytes=st.floats(0, 2**33),
    changes_per_commit=st.floats(1, 1_000),
    downloads_per_change=st.floats(0, 100),
    devices=st.floats(0, 10),
    online_hours=st.floats(0, 24),
    kept_days=st.floats(0, 400),
    mails_per_day=st.floats(0, 100),
    age_months=st.floats(0, 100),
)
GROWING = (
    "users", "files", "changes_per_day", "downloads_per_change", "devices", "online_hours", "kept_days",
    "mails_per_day", "age_months",
)  # fmt: skip
VARIANTS = st.sampled_from(Variant)


@pytest.mark.parametrize("name", COUNTED)
async def test_the_table_says_what_the_code_asks_for(name: str):
    """When this fails, the code costs something else: ``python -m tests.unit.admin.counted`` renews the table."""
    assert await COUNTED[name]() == CALLS[name]


def test_nothing_is_in_the_table_that_nobody_counts():
    assert CALLS.keys() == COUNTED.keys()


@given(LOADS, VARIANTS)
def test_the_parts_add_up(load: Load, variant: Variant):
    found = bill(load, variant, US_EAST_1, CALLS)
    assert found.total == pytest.approx(sum(found.services.values()))
    assert found.total == pytest.approx(sum(line.dollars for line in found.lines))
    assert found.total == pytest.approx(found.fixed + found.per_user * load.users) or not load.users
    assert all(line.dollars >= 0 for line in found.lines)


@given(LOADS, VARIANTS, st.sampled_from(GROWING), st.floats(1, 10))
def test_more_never_costs_less(load: Load, variant: Variant, what: str, factor: float):
    more = msgspec.structs.replace(load, **{what: getattr(load, what) * factor})
    before = bill(load, variant, US_EAST_1, CALLS).total
    assert bill(more, variant, US_EAST_1, CALLS).total >= before * (1 - 1e-9)


@given(LOADS, VARIANTS)
def test_nobody_and_nothing_costs_the_fixed_part_only(load: Load, variant: Variant):
    nobody = msgspec.structs.replace(load, users=0, files=0)
    found = bill(nobody, variant, US_EAST_1, CALLS)
    assert found.total == pytest.approx(found.fixed)
    assert found.fixed == pytest.approx(bill(load, variant, US_EAST_1, CALLS).fixed)
    assert found.per_user == 0


@given(LOADS, st.integers(2, 20))
def test_a_million_files_cost_the_same_whoever_sends_them(load: Load, factor: int):
    many = msgspec.structs.replace(load, users=load.users * factor, changes_per_day=load.changes_per_day / factor)
    one, other = (bill(each, Variant.TRIAL, US_EAST_1, CALLS).per_million_uploads for each in (load, many))
    assert one == pytest.approx(other)


@given(st.floats(1, 99))
def test_files_sent_together_cost_less_each(together: float):
    def of(files: float) -> float:
        load = Load(users=1_000, files=0, changes_per_day=10, changes_per_commit=files)
        return cost(uploads(load, CALLS), US_EAST_1)

    assert of(together + 1) < of(together)


def test_units_by_hand():
    """One 20 MiB file put and committed: 3 parts with a beginning and an end, and HeadObject by metadata."""
    load = Load(users=1, files=0, changes_per_day=12 / 365, file_bytes=20 * 2**20)
    usage = uploads(load, CALLS)
    work = [CALLS[name] for name in ("permit for a file", "commit accepted", "new version committed",
            "move heard of by the syncer", "commit archived by itself", "move told to a follower")]  # fmt: skip
    events = CALLS["10 events of committed files"].read_units / 10
    assert usage["row reads"] == pytest.approx(sum(one.read_units for one in work) + events)
    assert usage["row writes"] == pytest.approx(sum(one.write_units for one in work))
    assert usage["object writes"] == pytest.approx(5 + 1.0097, abs=1e-3)
    assert usage["fifo requests"] == pytest.approx(3)  # sent, received, deleted
    assert usage["publications"] == pytest.approx(1)


def test_an_idle_client_by_hand():
    usage = connected(3_600, CALLS)
    held, refreshed = CALLS["heads held for 50 s"], CALLS["session refreshed"]
    assert usage["row reads"] == pytest.approx(72 * held.read_units + 4 * refreshed.read_units)
    assert usage["row writes"] == pytest.approx(4 * refreshed.write_units)


def test_tiers():
    price = Price("S3", "GB", ((10, 2.0), (30, 1.0), (float("inf"), 0.5)), "")
    assert [price.of(amount) for amount in (0, 5, 10, 20, 30, 40)] == [0, 10, 20, 30, 40, 45]


def test_every_price_has_a_source_and_tiers_that_end_nowhere():
    for prices in REGIONS.values():
        for price in prices.values():
            assert price.source
            assert price.tiers[-1][0] == float("inf")
            assert [end for end, _ in price.tiers] == sorted(end for end, _ in price.tiers)


# -- what is said elsewhere too


def test_times_and_bounds_are_those_of_the_services():
    assert TOKEN_S == ACCESS_TOKEN_S
    assert HEADS_WAIT_S_MAX == 50
    assert HELD_PER_SYNCER == HELD_MAX


@pytest.mark.parametrize("variant", Variant)
def test_the_shapes_are_those_that_are_deployed(variant: Variant):
    sizes = deployed.SIZES[deployed.Variant(variant.value)]
    shape = SHAPES[variant]
    assert {service: (size.instance_type, size.least) for service, size in shape.sizes.items()} == {
        service: (sizes[service].instance_type, sizes[service].least) for service in SERVICES
    }


def test_what_is_watched_is_what_is_deployed():
    assert METRICS / 2 < len(watching.measures()) <= METRICS


# -- the command


@asynccontextmanager
async def nowhere() -> AsyncIterator[Ports]:
    raise Temporary("The stack is away.")
    yield


def test_the_command_needs_no_stack(capsys: pytest.CaptureFixture[str]):
    words = ["cost", "--users", "1000", "--files", "1e6", "--changes-per-day", "20"]
    assert run(nowhere, words) == Exit.OK
    told = capsys.readouterr().out
    assert "for a client that only waits" in told
    assert run(nowhere, [*words, "--variant", "trial", "--json"]) == Exit.OK
    document = json.loads(capsys.readouterr().out)
    assert document["checked_on"] == CHECKED_ON.isoformat()
    assert document["bill"]["instances"]["gateway"] >= 1
    assert document["load"]["file_bytes"] == 2**20


def test_a_region_without_prices_is_refused(capsys: pytest.CaptureFixture[str]):
    words = ["cost", "--users", "1", "--files", "1", "--changes-per-day", "1", "--region", "mars-1"]
    assert run(nowhere, words) == Exit.USAGE
    assert "us-east-1" in capsys.readouterr().err
