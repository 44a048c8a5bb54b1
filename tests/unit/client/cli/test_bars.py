"""Progress bars: what they show, and when there are none."""

import io

import pytest
from rich.console import Console

from syncline.client.cli import bars
from syncline.client.cli.calling import Call
from syncline.client.progress import NoProgress, Way


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    with bars.progress(Call()) as progress:
        progress.expect(Way.UP, 2, 3 * 1024)
        progress.moved(Way.UP, 1024)
        progress.finished(Way.UP, "docs/pl\x1ban.txt")
        assert isinstance(progress, bars.Bars)
        shown = Console(file=io.StringIO(), width=120)
        shown.print(progress.shown)
        text = shown.file.getvalue()  # type: ignore[attr-defined]
    assert "sending" in text
    assert "1.0/3.0 KiB" in text
    assert "1/2" in text
    assert "pl\\x1ban.txt" in text
    assert "sending" in terminal.getvalue()


@pytest.mark.parametrize("call", [Call(quiet=True), Call(json=True)])
def test_quiet_and_json_have_none(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with bars.progress(call) as progress:
        assert isinstance(progress, NoProgress)
    assert terminal.getvalue() == ""


def test_a_file_for_stderr_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with bars.progress(Call()) as progress:
        assert isinstance(progress, NoProgress)
