"""Whole clients as black boxes, checked against a model of what they may do.

In the manner of "Mysteries of Dropbox" (Hughes, Pierce, Arts, Norell: ICST 2016). People read, write and remove
files on several devices; devices synchronise in between, alone, at the same time, or while their person is writing.
What really happened inside is not looked at: the model holds every state that what was seen so far allows, and a
reading that none of them explains is a failure.

For each file by itself a state is the value in the library, the values in conflict copies, and for each device the
value in its folder with two marks: *fresh*, it has heard of the library's value; *clean*, what it has is what it was
given or has sent. Every value is written once. None is no file.

Files are also moved about, under ``moving``, where the model has no say about names: there the values are accounted
for. Values that nobody replaced or removed while seeing them must be there in the end.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Protocol

Value = bytes | None

PATHS = ("a", "b", "folder/c")
MOVING = "moving"
NAMES = ("x", "y", "z", "d/x", "d/e/y")
SETTLE_MAX = 10
AT_ONCE_MAX = 3
"""So often two devices that synchronise at the same time may hear of each other."""


class Device(Protocol):
    """A client with its folder; what of it a person sees."""

    name: str
    folder: Path

    async def sync(self, meanwhile: Callable[[], None] | None = None) -> bool:
        """Whether there was anything to do. ``meanwhile`` is done by the person at some time during it."""


# -- the model of one file


@dataclass(frozen=True)
class Here:
    """A file on one device."""

    value: Value = None
    fresh: bool = True
    clean: bool = True


@dataclass(frozen=True)
class State:
    """A file everywhere."""

    library: Value
    here: tuple[Here, ...]
    copies: frozenset[bytes] = frozenset()

    def at(self, device: int, now: Here) -> State:
        return replace(self, here=(*self.here[:device], now, *self.here[device + 1 :]))


def write(state: State, device: int, value: Value) -> State:
    return state.at(device, replace(state.here[device], value=value, clean=False))


def synced(state: State, device: int) -> State:
    """After a pass of a device that nothing came in between."""
    here = state.here[device]
    if here.clean or here.value == state.library:
        return state.at(device, Here(state.library))
    if here.fresh or state.library is None:
        return _sent(state, device)
    if here.value is not None:
        state = replace(state, copies=state.copies | {here.value})
    return state.at(device, Here(state.library))


def _sent(state: State, device: int) -> State:
    value = state.here[device].value
    others = tuple(replace(other, fresh=False) for other in state.here)
    return State(value, others, state.copies).at(device, Here(value))


Step = Callable[[State], State]


def in_any_order(states: Iterable[State], first: Step, second: Step) -> set[State]:
    """What two things at the same time may come to: each takes effect once at least, in turn."""
    found = set()
    for state in states:
        for one, other in ((first, second), (second, first)):
            now = state
            for turn in range(AT_ONCE_MAX):
                now = (one, other)[turn % 2](now)
                if turn:
                    found.add(now)
    return found


def while_writing(states: Iterable[State], device: int, value: Value) -> set[State]:
    """A pass of a device during which its person writes: before, after, or in the middle of it."""
    found = set()
    for state in states:
        after = write(synced(state, device), device, value)
        found |= {synced(write(state, device, value), device), after, synced(after, device)}
    return found


# -- what is done


@dataclass(frozen=True)
class Act:
    """One thing that happens. ``verb``: read, write, remove, move, mkdir, sync, together (``device`` and ``other``
    synchronise at once), meanwhile (``device`` synchronises while its person writes ``path``)."""

    verb: str
    device: int
    path: str = ""
    target: str = ""
    other: int = 0


VERBS = ("read", "write", "write", "remove", "move", "mkdir", "sync", "sync", "sync", "together", "meanwhile")


def random_acts(chance: random.Random, devices: int, length: int) -> list[Act]:
    acts = []
    for _ in range(length):
        verb, device = chance.choice(VERBS), chance.randrange(devices)
        path, target = (f"{MOVING}/{chance.choice(NAMES)}" for _ in range(2))
        if verb in ("read", "meanwhile") or (verb in ("write", "remove") and chance.random() < 0.7):
            path = chance.choice(PATHS)
        other = (device + chance.randrange(1, devices)) % devices
        acts.append(Act(verb, device, path, target, other))
    return acts


# -- playing it


class Unexplained(AssertionError):
    """Something was seen that the model has no explanation for."""


@dataclass
class Game:
    """Devices, and what is known of the files on them."""

    devices: Sequence[Device]
    states: dict[str, set[State]] = field(default_factory=dict)
    written: set[bytes] = field(default_factory=set)
    given_up: set[bytes] = field(default_factory=set)
    history: list[str] = field(default_factory=list)
    serial: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        nothing = State(None, tuple(Here() for _ in self.devices))
        self.states = {path: {nothing} for path in PATHS}

    async def play(self, acts: Sequence[Act]) -> None:
        """All of it, then until nobody has anything to do, and then everything is looked at."""
        for act in acts:
            self.history.append(str(act))
            await self._do(act)
        await self._settle()
        self._look_at_all()

    async def _do(self, act: Act) -> None:
        modelled = act.path in PATHS
        match act.verb:
            case "read":
                self._see(act.device, act.path)
            case "write" | "remove" if modelled:
                value = self._new_value(act) if act.verb == "write" else None
                self._see(act.device, act.path)
                self._put(act.device, act.path, value)
                self.states[act.path] = {write(state, act.device, value) for state in self.states[act.path]}
            case "sync":
                await self._sync(act.device)
            case "together":
                await asyncio.gather(self._pass(act.device), self._pass(act.other))
                for path, states in self.states.items():
                    self.states[path] = in_any_order(
                        states, lambda state: synced(state, act.device), lambda state: synced(state, act.other)
                    )
            case "meanwhile":
                await self._meanwhile(act)
            case _:
                self._unmodelled(act)

    async def _pass(self, device: int, meanwhile: Callable[[], None] | None = None) -> bool:
        return await self.devices[device].sync(meanwhile)

    async def _sync(self, device: int) -> bool:
        busy = await self._pass(device)
        for path, states in self.states.items():
            self.states[path] = {synced(state, device) for state in states}
        return busy

    async def _meanwhile(self, act: Act) -> None:
        value, before = self._new_value(act), set(self.given_up)
        seen: list[Value] = []

        def put() -> None:
            seen.append(self._read(act.device, act.path))
            self._put(act.device, act.path, value)

        await self._pass(act.device, put)
        if not seen:  # the pass had no such moment
            self.written.discard(value)
            self.given_up = before
        for path, states in self.states.items():
            in_between = seen and path == act.path
            self.states[path] = (
                while_writing(states, act.device, value) if in_between else {synced(s, act.device) for s in states}
            )

    # -- one device's folder

    def _at(self, device: int, path: str) -> Path:
        return self.devices[device].folder / path

    def _read(self, device: int, path: str) -> Value:
        try:
            return self._at(device, path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _put(self, device: int, path: str, value: Value) -> None:
        at = self._at(device, path)
        seen = self._read(device, path)
        if seen is not None:
            self.given_up.add(seen)
        if value is None:
            at.unlink(missing_ok=True)
        else:
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_bytes(value)
            self.written.add(value)

    def _new_value(self, act: Act) -> bytes:
        return f"value {next(self.serial)} of {self.devices[act.device].name}".encode()

    def _see(self, device: int, path: str) -> None:
        """Read a file, and drop the states that do not explain what is in it."""
        seen = self._read(device, path)
        explained = {state for state in self.states[path] if state.here[device].value == seen}
        if not explained:
            name = self.devices[device].name
            raise Unexplained(self._told(f"{name} reads {seen!r} in {path}, which none of these explains", path))
        self.states[path] = explained

    def _unmodelled(self, act: Act) -> None:
        """Under ``moving``: names go their own ways, values do not get lost."""
        try:
            match act.verb:
                case "write":
                    self._put(act.device, act.path, self._new_value(act))
                case "remove":
                    if self._at(act.device, act.path).is_file():
                        self._put(act.device, act.path, None)
                case "mkdir":
                    self._at(act.device, act.path).mkdir(parents=True, exist_ok=True)
                case "move":
                    self._move(self._at(act.device, act.path), self._at(act.device, act.target))
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            return

    def _move(self, source: Path, target: Path) -> None:
        if source.exists() and not target.exists() and source not in target.parents:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)

    # -- the end

    async def _settle(self) -> None:
        for _ in range(SETTLE_MAX):
            if not any([await self._sync(device) for device in range(len(self.devices))]):
                return
        raise Unexplained(self._told("there is always something left to do"))

    def _look_at_all(self) -> None:
        folders = [contents(device.folder) for device in self.devices]
        for device, found in zip(self.devices, folders, strict=True):
            if found != folders[0]:
                raise Unexplained(self._told(f"{device.name} has {found}, {self.devices[0].name} {folders[0]}"))
        for path in PATHS:
            for at in range(len(self.devices)):
                self._see(at, path)
            copies = _copies_of(path, folders[0])
            if not any(sorted(state.copies) == copies for state in self.states[path]):
                raise Unexplained(self._told(f"the conflict copies of {path} hold {copies}", path))
        there = set(folders[0].values())
        if lost := self.written - self.given_up - there:
            raise Unexplained(self._told(f"{sorted(lost)} is nowhere, and nobody gave it up"))
        if strange := there - self.written:
            raise Unexplained(self._told(f"{sorted(strange)} was written by nobody"))

    def _told(self, what: str, path: str = "") -> str:
        states = [f"  {state}" for state in self.states.get(path, ())]
        return "\n".join([what, *states, "after", *(f"  {line}" for line in self.history)])


def contents(folder: Path) -> dict[str, bytes]:
    """Path → bytes of every file in a linked folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] != ".syncline"
    }


def _copies_of(path: str, found: dict[str, bytes]) -> list[bytes]:
    return sorted(value for at, value in found.items() if at.startswith(f"{path} (conflict "))


async def replayed(seed: int, play: Callable[[random.Random], Awaitable[None]], how: str) -> None:
    """Play with a seed; a failure tells it."""
    try:
        await play(random.Random(seed))
    except AssertionError as error:
        raise AssertionError(f"seed {seed}, replayed by {how}={seed}\n{error}") from error
