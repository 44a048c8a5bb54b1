"""Progress bars on stderr: one for each way bytes go."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from syncline.client.cli.calling import Call
from syncline.client.cli.output import name_text, size_text
from syncline.client.progress import NoProgress, Phase, Progress, Way

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress, TaskID

NAME_CELLS_MAX = 40
REFRESHES_PER_S = 5
VERB = {Way.UP: "sending", Way.DOWN: "fetching", Way.READ: "reading"}


@contextmanager
def progress(call: Call) -> Iterator[Progress]:
    """Bars while the block runs; none with --quiet or --json, nor when stderr is no terminal."""
    if call.quiet or call.json or not sys.stderr.isatty():
        yield NoProgress()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress as RichProgress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{size_text(int(speed))}/s" if speed else "", style="progress.data.speed")

    with RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        Speed(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[files]}  {task.fields[path]}", markup=False),
        console=Console(stderr=True),
        transient=True,
        refresh_per_second=REFRESHES_PER_S,
    ) as bars:
        yield Bars(bars)


class Bars:
    """Tells a terminal how transfers come along."""

    def __init__(self, bars: RichProgress) -> None:
        self.shown = bars
        self._tasks: dict[Way, TaskID] = {}
        self._expected: dict[Way, int] = dict.fromkeys(Way, 0)
        self._total: dict[Way, int] = dict.fromkeys(Way, 0)
        self._arrived: dict[Way, int] = dict.fromkeys(Way, 0)

    def phase(self, phase: Phase) -> None:
        """Bars show transfers only."""

    def expect(self, way: Way, files: int, size_bytes: int) -> None:
        self._expected[way] += files
        self._total[way] += size_bytes
        self.shown.update(self._task(way), total=self._total[way], files=self._count(way))

    def moved(self, way: Way, size_bytes: int) -> None:
        self.shown.advance(self._task(way), size_bytes)

    def finished(self, way: Way, path: str) -> None:
        self._arrived[way] += 1
        name = name_text(path.rpartition("/")[2])
        shown = name if len(name) <= NAME_CELLS_MAX else name[: NAME_CELLS_MAX - 1] + "…"
        self.shown.update(self._task(way), files=self._count(way), path=shown)

    def _task(self, way: Way) -> TaskID:
        if way not in self._tasks:
            self._tasks[way] = self.shown.add_task(VERB[way], total=None, files="", path="")
        return self._tasks[way]

    def _count(self, way: Way) -> str:
        return f"{self._arrived[way]}/{self._expected[way]}"
