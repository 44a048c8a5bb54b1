"""What holds whatever happens: devices that lag, work in batches, lose answers, and permits that arrive at any time.

Each device keeps a picture of its own folder, as a real one would have on disk, and remembers which contents it gave
up by editing or removing them. The first law of the product is then one sentence: no content that was acknowledged
leaves the live tree unless the device whose request did it had given that content up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import msgspec
from hypothesis import Phase, given, note, settings, strategies as st

from syncline.domain.commands import AddVersion, Command, MakeFolder, Move, Permit, Remove, Request, Withdraw
from syncline.domain.commits import Commit, Effect, Result, Status
from syncline.domain.nodes import Kind
from syncline.domain.tree import Tree
from tests.unit.domain.world import LIBRARY, Hand, World

NAMES = ("a", "b", "c.txt")
STEPS = 40
DEVICES = 3
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""A history is made from its seed: a smaller seed is another history, not a simpler one."""


@dataclass
class Held:
    """A file or folder as one device has it. ``content`` None: a folder. ``base``: the version it was, "" if unknown.

    ``as_of``: the seq up to which the device has taken over what happened to it.
    """

    parent: str
    name: str
    content: str | None
    base: str = ""
    as_of: int = 0
    settled: bool = True  # the device knows that the service has this node


@dataclass
class Flight:
    """A permit whose bytes have landed, not presented yet; and what its device had given up when it was issued."""

    permit: Permit
    given_up: frozenset[str]


@dataclass
class Device:
    hand: Hand
    held: dict[str, Held] = field(default_factory=dict)
    base_seq: int = 0
    own_seq: int = 0  # the last commit it was told of
    given_up: set[str] = field(default_factory=set)
    unheard: list[Permit] = field(default_factory=list)  # issued, and not known to be committed

    def folders(self) -> list[str]:
        return [LIBRARY, *(node for node, held in self.held.items() if held.content is None and self.reaches(node))]

    def reaches(self, node: str) -> bool:
        while node != LIBRARY:
            if node not in self.held:
                return False
            node = self.held[node].parent
        return True

    def below(self, folder: str) -> list[str]:
        """The node and everything in it."""
        found = [folder]
        for node in found:
            found.extend(child for child, held in self.held.items() if held.parent == node)
        return found

    def is_free(self, parent: str, name: str) -> bool:
        return not any((held.parent, held.name) == (parent, name) for held in self.held.values())

    def give_up(self, node: str) -> None:
        content = self.held[node].content
        if content is not None:
            self.given_up.add(content)


@dataclass
class History:
    """Drives the world at random, and checks it."""

    random: Random
    repeats: bool = False  # whether different files may get the same content; then nobody can say which one is missed
    world: World = field(default_factory=World)
    devices: list[Device] = field(default_factory=list)
    flights: list[Flight] = field(default_factory=list)
    presented: list[Permit] = field(default_factory=list)
    words: int = 0
    log: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.devices = [Device(Hand(self.world, f"device-{n}")) for n in range(DEVICES)]

    def step(self) -> None:
        what = self.random.choice(("work", "work", "work", "sync", "land"))
        device = self.random.choice(self.devices)
        if what == "work":
            self.work(device)
        elif what == "sync":
            self.sync(device, self.random.randint(max(device.base_seq, device.own_seq), self.world.tree.seq))
        elif self.flights:
            self.land(self.random.sample(self.flights, self.random.randint(1, min(3, len(self.flights)))))

    # What a device does

    def work(self, device: Device) -> None:
        """Some local changes, sent as one command; now and then the answer is lost, and the device starts over."""
        before = {node: msgspec.structs.asdict(Snapshot.of(held)) for node, held in device.held.items()}
        requests: list[Request] = []
        for _ in range(self.random.randint(1, 4)):
            requests.extend(self.change(device, requests))
        if not requests:
            return
        results = self.present(device, requests)
        if self.random.random() < 0.15:
            self.sync(device, self.world.tree.seq)
            return
        device.own_seq = max(device.own_seq, self.world.tree.seq if self.took_effect else 0)
        for request, result in zip(requests, results, strict=True):
            self.hear(device, request, result, before)
        if any(self.is_baffling(device, *told) for told in zip(requests, results, strict=True)):
            self.sync(device, self.world.tree.seq)

    def change(self, device: Device, sent: Sequence[Request]) -> list[Request]:
        """One local change: done in the device's folder, and what it asks for."""
        files = [node for node, held in device.held.items() if held.content is not None and device.reaches(node)]
        known = [node for node, held in device.held.items() if held.settled and device.reaches(node)]
        parent, name = self.random.choice(device.folders()), self.random.choice(NAMES)
        what = self.random.choice(("new", "new", "edit", "edit", "folder", "move", "move", "remove"))
        if what == "new" and device.is_free(parent, name):
            permit = device.hand.permit(self.word(device), parent=parent, name=name)
            device.held[permit.node] = Held(parent, name, permit.checksum, "", device.base_seq, False)
            return self.send(device, permit, sent)
        if what == "edit" and files:
            return self.edit(device, self.random.choice(files), sent)
        if what == "folder" and device.is_free(parent, name):
            node = self.world.new_id("folder")
            device.held[node] = Held(parent, name, None, "", device.base_seq)
            return [MakeFolder(node, parent, name)]
        if what == "move" and known:
            node = self.random.choice(known)
            if parent in device.below(node) or not device.is_free(parent, name):
                return []
            device.held[node].parent, device.held[node].name = parent, name
            return [Move(node, device.base_seq, parent, name)]
        if what == "remove" and known:
            return self.remove(device, self.random.choice(known))
        return []

    def edit(self, device: Device, node: str, sent: Sequence[Request]) -> list[Request]:
        held = device.held[node]
        content = self.word(device)
        device.give_up(node)
        device.given_up.discard(content)
        held.content = content
        permit = device.hand.permit(content, node=node, base=held.base)
        if not held.settled:
            permit = msgspec.structs.replace(permit, new=True, parent=held.parent, name=held.name, base_version="")
        return self.send(device, permit, sent)

    def send(self, device: Device, permit: Permit, sent: Sequence[Request]) -> list[Request]:
        """With the command, or left to the events of the store. A permit names only folders the service knows."""
        device.unheard.append(permit)
        made_here = {request.node for request in sent if isinstance(request, MakeFolder)}
        if permit.parent not in made_here and self.random.random() < 0.3:
            self.flights.append(Flight(permit, frozenset(device.given_up)))
            return []
        return [AddVersion(permit)]

    def remove(self, device: Device, node: str) -> list[Request]:
        below = device.below(node)
        base_seq = min(device.held[gone].as_of for gone in below)
        is_folder = device.held[node].content is None
        for gone in below:
            device.give_up(gone)
            del device.held[gone]
        withdrawn: list[Request] = []
        for flight in self.flights:
            if (
                flight.permit.device == device.hand.device
                and flight.permit.node in below
                and self.random.random() < 0.5
            ):
                withdrawn.append(Withdraw(flight.permit.id))
        if not is_folder or self.random.random() < 0.8:
            return [*withdrawn, Remove(node, base_seq, is_folder)]
        return [*withdrawn, *(Remove(gone, base_seq, False) for gone in below)]

    def hear(self, device: Device, request: Request, result: Result, before: dict[str, dict]) -> None:
        """What the device makes of an answer."""
        match request:
            case AddVersion(permit):
                device.unheard.remove(permit)
                if result.status is Status.REFUSED or permit.node not in device.held:
                    return
                held = device.held[permit.node]
                held.base, held.settled = permit.id, True
                if result.node != permit.node and result.node not in device.held:
                    device.held[result.node] = device.held.pop(permit.node)
                    # Later edits of what has become another file are sent again, for that one.
                    device.given_up |= {late.checksum for late in device.unheard if late.node == permit.node}
                self.see_place(device, result)
            case MakeFolder(node):
                if result.node != node and node in device.held and result.node not in device.held:
                    device.held[result.node] = device.held.pop(node)
                    for held in device.held.values():
                        held.parent = result.node if held.parent == node else held.parent
                self.see_place(device, result)
            case Move(node) if result.status is Status.REFUSED and node in device.held and node in before:
                # Undone locally.
                device.held[node].parent, device.held[node].name = before[node]["parent"], before[node]["name"]
            case _:
                pass

    def is_baffling(self, device: Device, request: Request, result: Result) -> bool:
        """Whether something stayed that it wanted gone, or a folder it made is one that it has elsewhere, or none."""
        if result.status is Status.KEPT:
            return True
        return isinstance(request, MakeFolder) and request.node in device.held and result.node != request.node

    def see_place(self, device: Device, result: Result) -> None:
        if result.status is Status.CONFLICT and result.node in device.held:
            device.held[result.node].name = result.name

    def sync(self, device: Device, seq: int) -> None:
        """The device's folder becomes what the library was at ``seq``, but for its own contents still in flight."""
        self.log.append((device.hand.device, "syncs to", seq))
        tree = Tree(LIBRARY)
        tree.apply_all(self.world.commits[:seq])
        device.base_seq = device.own_seq = seq
        device.unheard = [permit for permit in device.unheard if tree.version(permit.id) is None]
        unheard = {permit.node for permit in device.unheard}
        local = {node: device.held[node] for node in unheard if node in device.held}
        device.held = {}
        for node in tree.live_nodes():
            content, base = (node.version.checksum, node.version.id) if node.version else (None, "")
            device.held[node.id] = Held(node.parent, node.name, content, base, seq)
        for node_id, held in local.items():
            if node_id in device.held:
                here = device.held[node_id]
                here.content, here.base, here.as_of = held.content, held.base, held.as_of
            elif device.reaches(held.parent) and device.is_free(held.parent, held.name):
                device.held[node_id] = held
            elif held.content is not None:
                # It would be given another name or folder, and uploaded anew for that.
                device.given_up.add(held.content)
        taken_over = (held for node_id, held in device.held.items() if node_id not in local)
        device.given_up -= {held.content for held in taken_over if held.content is not None}

    # What the service does

    def land(self, flights: list[Flight]) -> None:
        """The store's events are handled, in any order, now and then again."""
        for flight in flights:
            if self.random.random() < 0.8:
                self.flights.remove(flight)
        requests = [AddVersion(flight.permit) for flight in flights]
        first = flights[0].permit
        given_up = frozenset().union(*(flight.given_up for flight in flights))
        self.take(
            Command(self.world.new_id("events"), LIBRARY, first.account, first.device, 0, 0, (*requests,)), given_up
        )

    def present(self, device: Device, requests: list[Request]) -> Sequence[Result]:
        hand = device.hand
        command = Command(
            self.world.new_id("command"), LIBRARY, f"{hand.device}'s", hand.device, hand.count(), 0, (*requests,)
        )
        return self.take(command, frozenset(device.given_up))

    def take(self, command: Command, given_up: frozenset[str]) -> Sequence[Result]:
        self.log.append((command.device, "at", self.world.tree.seq, command.requests))
        before = self.world.contents()
        decision = self.world.take(command)
        self.took_effect = decision.commit is not None
        after = self.world.contents()
        self.log.append(decision.outcome.results)
        self.log.append(after)
        lost = set() if self.repeats else before.keys() - after.keys()
        assert lost <= given_up, f"{lost - given_up} disappeared, though nobody gave it up"
        for request, result in zip(command.requests, decision.outcome.results, strict=True):
            if isinstance(request, AddVersion):
                self.presented.append(request.permit)
                self.check_acknowledged(request.permit, result, after)
        self.check_again(command)
        return decision.outcome.results

    def check_acknowledged(self, permit: Permit, result: Result, after: dict[str, list[str]]) -> None:
        """Bytes are live, or their device has given them up since; refused only when it withdrew them."""
        device = next(device for device in self.devices if device.hand.device == permit.device)
        given_up = permit.checksum in device.given_up
        assert self.repeats or permit.checksum in after or given_up or self.replaced_later(permit), (
            f"{permit.checksum} is nowhere"
        )
        if result.status is Status.REFUSED:
            assert result.reason == "withdrawn"
            assert given_up or self.repeats
        else:
            record = self.world.tree.version(permit.id)
            assert record is not None
            assert record.version is not None
            assert record.version.checksum == permit.checksum

    def check_again(self, command: Command) -> None:
        """The same command once more, past the outcome that stands in its way, adds and removes no content.

        At most a node gets a name that the command itself has freed, or a folder for that.
        """
        commit = self.world.decide(command).commit
        for change in commit.changes if commit is not None else ():
            renamed = change.effect is Effect.MOVED
            assert renamed or (change.effect is Effect.ADDED and change.node.kind is Kind.FOLDER), change

    def replaced_later(self, permit: Permit) -> bool:
        """The event of a version that has long been committed, and dealt with by others since."""
        return any(earlier is permit for earlier in self.presented[:-1])

    def word(self, device: Device) -> str:
        """A new content; now and then one that somebody has already."""
        if self.repeats and self.words and self.random.random() < 0.3:
            return f"word {self.random.randint(1, self.words)}"
        self.words += 1
        return f"word {self.words}"


class Snapshot(msgspec.Struct):
    parent: str
    name: str

    @classmethod
    def of(cls, held: Held) -> Snapshot:
        return cls(held.parent, held.name)


@settings(max_examples=600, phases=NO_SHRINKING)
@given(seed=st.integers(0, 2**32), steps=st.integers(STEPS // 4, STEPS), repeats=st.booleans())
def test_nothing_is_lost_and_the_tree_stays_whole(seed: int, steps: int, repeats: bool):
    history = History(Random(seed), repeats)
    try:
        for _ in range(steps):
            history.step()
    except AssertionError:
        for line in history.log:
            note(str(line))
        raise
    replay_everything(history)
    rebuild(history)


def replay_everything(history: History) -> None:
    """Any permit that was ever presented, presented again, changes nothing."""
    commits = len(history.world.commits)
    for permit in history.presented:
        result = history.world.submit(AddVersion(permit), device=permit.device, counter=0).results[0]
        assert result.status in (Status.UNCHANGED, Status.REFUSED)
    assert len(history.world.commits) == commits


def rebuild(history: History) -> None:
    """The journal alone, as it lies on disk, gives the same tree; old commits again change nothing."""
    wire = [msgspec.msgpack.encode(commit) for commit in history.world.commits]
    tree = Tree(LIBRARY)
    for position, line in enumerate(wire):
        tree.apply(msgspec.msgpack.decode(line, type=Commit))
        tree.apply(msgspec.msgpack.decode(wire[position // 2], type=Commit))
    for node_id in history.world.ids:
        assert tree.node(node_id) == history.world.tree.node(node_id)
    assert [node for node in tree.live_nodes() if node.kind is Kind.FILE] == [
        node for node in history.world.tree.live_nodes() if node.kind is Kind.FILE
    ]
