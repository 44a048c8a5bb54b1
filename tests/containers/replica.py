"""One container of a service: what it is, what it counted, and how to crash it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from docker.models.containers import Container
from prometheus_client.parser import text_string_to_metric_families

TAIL_LINES = 25
METRICS = """
import os, urllib.request
port = os.environ["SYNCLINE_LISTEN"].rpartition(":")[2]
print(urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode())
"""


@dataclass(frozen=True)
class Replica:
    """One container of a service."""

    container: Container

    @property
    def name(self) -> str:
        return str(self.container.name)

    @property
    def service(self) -> str:
        return str(self.container.labels["com.docker.compose.service"])

    @property
    def tag(self) -> str:
        """The tag of its image."""
        return str(self.container.attrs["Config"]["Image"]).rpartition(":")[2]

    @property
    def facts(self) -> dict[str, Any]:
        """What ``docker inspect`` says of it now."""
        self.container.reload()
        return dict(self.container.attrs)

    @property
    def healthy(self) -> bool:
        state = self.facts["State"]
        return state["Running"] and state["Health"]["Status"] == "healthy"

    @property
    def started_at(self) -> str:
        """Another one whenever it starts anew."""
        return str(self.facts["State"]["StartedAt"])

    def run(self, *command: str, ok: bool = True) -> str:
        """What a command said that was run in it."""
        code, said = self.container.exec_run(list(command))
        text = str(said.decode(errors="replace"))
        assert (code == 0) is ok, f"{self.name}: {command} ended with {code}:\n{text}"
        return text

    def count(self, name: str, **labels: str) -> float:
        """What its metric ``syncline_SERVICE_name`` says, summed over all labels whose values begin like these."""
        wanted = f"syncline_{self.service}_{name}"
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.run("python", "-c", METRICS))
            for sample in family.samples
            if sample.name == wanted and all(sample.labels[label].startswith(value) for label, value in labels.items())
        )

    @property
    def work(self) -> float:
        """How much it has done since it started: requests of clients that it answered, messages that it handled."""
        if self.service in ("gateway", "syncer"):
            return self.count("requests_total", route="/v1/", status="2")
        return self.count("messages_total", result="done")

    def crash(self) -> None:
        """Kill everything in it at once; its restart policy starts it again."""
        self.container.exec_run(["sh", "-c", "kill -9 -1"])

    def tail(self) -> str:
        return str(self.container.logs(tail=TAIL_LINES).decode(errors="replace"))


def idle(replicas: Sequence[Replica], before: Sequence[float]) -> list[str]:
    """The names of those that have done nothing since their ``work`` was ``before``."""
    return [one.name for one, was in zip(replicas, before, strict=True) if one.work <= was]


def holding(syncers: Sequence[Replica]) -> list[float]:
    """How many requests each holds."""
    return [one.count("held_requests") for one in syncers]
