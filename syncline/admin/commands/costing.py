"""cost: the monthly bill on paper."""

from __future__ import annotations

import click

from syncline.admin.calling import Answer, Call, command
from syncline.admin.costs.bill import Bill, bill
from syncline.admin.costs.calls import counted
from syncline.admin.costs.load import Load, Variant
from syncline.admin.costs.prices import CHECKED_ON, REGIONS, SEEN_NOWHERE
from syncline.client.cli.output import columns
from syncline.client.cli.spans import size_of

AMOUNT = click.FloatRange(min=0, max=1e12)
AT_LEAST_ONE = click.FloatRange(min=1, max=1e6)


@command(
    "cost",
    examples=[
        "syncline-admin cost --users 50 --files 100000 --changes-per-day 20 --variant trial",
        "syncline-admin cost --users 1000000 --files 1e9 --changes-per-day 20 --file-size 500K --json",
    ],
)
@click.option("--users", type=AMOUNT, required=True, help="People who use it.")
@click.option("--files", type=AMOUNT, required=True, help="Files in all libraries together.")
@click.option("--changes-per-day", type=AMOUNT, required=True, help="Files that one user changes or adds a day.")
@click.option("--file-size", default="1M", show_default=True, help="The mean size of a file, with its unit.")
@click.option("--changes-per-commit", type=AT_LEAST_ONE, default=1, show_default=True, help="Files sent together.")
@click.option("--downloads-per-change", type=AMOUNT, default=3, show_default=True, help="Devices that fetch each.")
@click.option("--devices", type=AMOUNT, default=2, show_default=True, help="Devices of a user.")
@click.option("--idle", "online", type=click.FloatRange(0, 24), default=8, show_default=True,
              help="Hours a day that a device is connected, waiting for changes.")  # fmt: skip
@click.option("--kept-days", type=AMOUNT, default=30, show_default=True, help="Days that replaced versions are kept.")
@click.option("--mails-per-day", type=AMOUNT, default=1, show_default=True, help="Mails a user gets a day.")
@click.option("--age-months", type=AMOUNT, default=12, show_default=True, help="How long it has been in use.")
@click.option("--variant", type=click.Choice([one.value for one in Variant]), default="production", show_default=True)
@click.option("--region", type=click.Choice(list(REGIONS)), default="us-east-1", show_default=True)
@click.option("--lines", is_flag=True, help="Show every amount, price and where the price was confirmed.")
async def cost(
    call: Call,
    users: float,
    files: float,
    changes_per_day: float,
    file_size: str,
    changes_per_commit: float,
    downloads_per_change: float,
    devices: float,
    online: float,
    kept_days: float,
    mails_per_day: float,
    age_months: float,
    variant: str,
    region: str,
    lines: bool,
) -> Answer:
    """Reckon what AWS would charge a month, from list prices and from the calls that the code really makes.

    It needs no stack. Free allowances, discounts, taxes and support are left out, and so is the optional firewall.
    """
    load = Load(
        users=users,
        files=files,
        changes_per_day=changes_per_day,
        file_bytes=size_of(file_size),
        changes_per_commit=changes_per_commit,
        downloads_per_change=downloads_per_change,
        devices=devices,
        online_hours=online,
        kept_days=kept_days,
        mails_per_day=mails_per_day,
        age_months=age_months,
    )
    found = bill(load, Variant(variant), REGIONS[region], counted())
    document = {"load": load, "variant": variant, "region": region, "checked_on": CHECKED_ON, "bill": found}
    return Answer(document, _text(found, lines=lines))


def _text(found: Bill, *, lines: bool) -> str:
    rows = [(service, _dollars(dollars)) for service, dollars in sorted(found.services.items(), key=_dearest)]
    running = ", ".join(f"{count} {service}" for service, count in found.instances.items())
    text = [
        columns([*rows, ("all together", _dollars(found.total))], header=("a month", "USD"), right=frozenset({1})),
        "",
        columns(
            [
                ("when nobody uses it", _dollars(found.fixed)),
                ("for each user", _dollars(found.per_user)),
                ("for a million files sent", _dollars(found.per_million_uploads)),
                ("for a client that only waits", _dollars(found.per_idle_client)),
            ],
            right=frozenset({1}),
        ),
        "",
        f"Instances: {running}. List prices of {CHECKED_ON}; how sure they are: docs/scale.md, --lines.",
    ]
    if lines:
        table = [
            (one.service, one.what, f"{one.amount:,.1f}", _dollars(one.dollars), one.source) for one in found.lines
        ]
        text += ["", columns(table, header=("", "of", "amount", "USD", "price seen at"), right=frozenset({2, 3}))]
        text.append(f"A price that is {SEEN_NOWHERE!r} is the one known to the authors.")
    return "\n".join(text)


def _dearest(item: tuple[str, float]) -> float:
    return -item[1]


def _dollars(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= 0.1 or amount == 0 else f"{amount:.4f}"
