"""The notifier: its parts, made of ports. ``__main__`` puts the real ones in, tests those in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from services.notifier.announcing import Announcer
from services.notifier.aside import SettingAside
from services.notifier.composing import Composer
from services.notifier.delivering import Deliverer, Hooks
from services.notifier.digesting import Digesting
from services.notifier.gathering import Gathering, gather_moves
from services.notifier.mailboxes import Mailboxes
from services.notifier.members import Members
from services.notifier.pacing import PacedMailer
from services.notifier.posting import Posting, post_letters
from services.notifier.pulse import measures_of_notifier
from services.notifier.reaching import HttpsPoster, Poster
from services.notifier.recipients import Recipients
from services.notifier.rendering import Renderer
from services.notifier.returns import Returns, take_returns
from services.notifier.sending import Sender
from services.notifier.signatures import NO_CERTIFICATES, Certificates
from syncline.domain.capabilities import SigningKey
from syncline.ports.cache import Cache
from syncline.ports.clock import Clock
from syncline.ports.mail import Mailer
from syncline.ports.queues import Queue, Queues
from syncline.ports.tables import Key, Table, Tables
from syncline.serving.aws_calls import AwsCalls
from syncline.serving.consumer import Consumer
from syncline.serving.http import make_app
from syncline.serving.metrics import Metrics
from syncline.serving.pulse import Pulse, measures_of_queue, measures_of_surroundings
from syncline.store.checkpoints import Checkpoints
from syncline.store.directory import Directory
from syncline.store.follows import Follows
from syncline.store.incarnations import Incarnations
from syncline.store.journal import Journal
from syncline.store.outsiders import Outsiders
from syncline.store.suppressions import Suppressions
from syncline.store.tree import TreeReader
from syncline.store.views import Views

SERVICE = "notifier"
OPEN_INTERNET = HttpsPoster()


@dataclass(frozen=True, slots=True)
class Ports:
    """What the notifier needs of the world; ``cache`` None: it is the only one, or shares the rate of mail slowly."""

    tables: Tables
    queues: Queues
    mailer: Mailer
    clock: Clock
    certificates: Certificates = NO_CERTIFICATES
    poster: Poster = OPEN_INTERNET
    cache: Cache | None = None


@dataclass(frozen=True, slots=True)
class Notifier:
    """The parts of the service. ``app`` serves health and metrics only."""

    app: web.Application
    pulse: Pulse
    consumer: Consumer
    letters: Consumer
    returns: Consumer
    sender: Sender
    deliverer: Deliverer
    announcer: Announcer
    gathering: Gathering
    mailboxes: Mailboxes


def make_notifier(
    ports: Ports,
    *,
    link_keys: Sequence[SigningKey],
    public_url: str,
    mail_from: str,
    window_s: int,
    reply_to: str = "",
    mail_topic_arn: str = "",
    mail_events_raw: bool = False,
    metrics: Metrics | None = None,
    calls: AwsCalls | None = None,
) -> Notifier:
    """Raises ``Broken`` when ``mail_from`` is no address."""
    metrics = metrics or Metrics(SERVICE)
    mailer = PacedMailer(ports.mailer, ports.clock, ports.cache)
    journal, follows = Journal(ports.tables), Follows(ports.tables)
    incarnations = Incarnations(ports.tables)
    trees = TreeReader(journal, Views(ports.tables))
    mailboxes = Mailboxes(ports.tables, ports.clock, window_ms=window_s * 1000)
    suppressions, directory = Suppressions(ports.tables, ports.clock), Directory(ports.tables)
    renderer = Renderer(mail_from, reply_to=reply_to)
    composer = Composer(
        digesting=Digesting(journal, incarnations, trees, ports.clock),
        directory=directory,
        recipients=Recipients(directory, follows, Outsiders(ports.tables), ports.clock),
        follows=follows,
        suppressions=suppressions,
        renderer=renderer,
        link_keys=link_keys,
        public_url=public_url,
        members=Members(ports.tables),
        clock=ports.clock,
    )
    hooks = Hooks(ports.tables, ports.clock)
    gathering = Gathering(journal, incarnations, trees, follows, Checkpoints(ports.tables), mailboxes, hooks)
    consumer = Consumer(ports.queues, Queue.NOTIFY, gather_moves(gathering), clock=ports.clock, metrics=metrics)
    aside = SettingAside(ports.tables, ports.clock, metrics)
    sender = Sender(mailboxes, composer, mailer, suppressions, aside, clock=ports.clock, metrics=metrics)
    deliverer = Deliverer(ports.tables, ports.queues, ports.poster, aside, clock=ports.clock, metrics=metrics)
    announcer = Announcer(ports.tables, mailboxes, aside, clock=ports.clock)
    posting = Posting(ports.tables, mailer, renderer, ports.clock, metrics, link_keys=link_keys, public_url=public_url)
    letters = Consumer(
        ports.queues, Queue.LETTERS, post_letters(posting), clock=ports.clock, metrics=metrics, receivers=1
    )
    taking = Returns(suppressions, ports.certificates, metrics, topic_arn=mail_topic_arn, raw=mail_events_raw)
    returns = Consumer(
        ports.queues, Queue.BOUNCES, take_returns(taking), clock=ports.clock, metrics=metrics, receivers=1
    )
    app = make_app(metrics, public_url=public_url, ready={"tables": lambda: _look(ports.tables)})
    told = measures_of_notifier(sender, posting, taking, aside, mailer)
    told += measures_of_surroundings(ports.clock, cache=ports.cache, calls=calls)
    for one in (consumer, letters, returns):
        told += measures_of_queue(one, metrics, ports.clock)
    pulse = Pulse(metrics, ports.tables, ports.clock, told, calls=calls)
    return Notifier(app, pulse, consumer, letters, returns, sender, deliverer, announcer, gathering, mailboxes)


async def _look(tables: Tables) -> None:
    """Raises while the tables cannot be read."""
    await tables.get(Table.MAIL, Key("ready", "ready"), eventual=True)
