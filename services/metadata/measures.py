"""What metadata counts besides the golden signals."""

from __future__ import annotations

from syncline.serving.metrics import Metrics, Stages


class Measures:
    def __init__(self, metrics: Metrics) -> None:
        self.commands = metrics.counter("commands", "Commands by what became of them.", ("result",))
        self.results = metrics.counter("results", "Requests of commands by their status.", ("status",))
        self.commits = metrics.counter("commits", "Commits appended.")
        self.changes = metrics.counter("changes", "Changes appended.")
        self.collisions = metrics.counter("collisions", "Appends that met another one and were decided again.")
        self.publications = metrics.counter("publications", "Publications to the topic.")
        self.step_seconds = metrics.histogram("step_seconds", "Time of each step of a batch of commands.", ("step",))
        self.landed = metrics.counter("landed", "Objects reported by S3, by what became of them.", ("result",))
        self.sweep_rounds = metrics.counter("sweep_rounds", "Rounds of the sweep by how they ended.", ("job", "result"))
        self.sweep_seconds = metrics.histogram("sweep_seconds", "Time of a round of the sweep.", ("job",))
        self.sweep_grants = metrics.counter("sweep_grants", "Grants by what the sweep did about them.", ("result",))
        self.sweep_objects = metrics.counter(
            "sweep_objects", "Objects that the sweep found without a version, by what became of them.", ("result",)
        )
        self.stage = Stages(metrics).passed
        self.given_up = metrics.counter("given_up", "Versions that retention gave up, by what came of it.", ("result",))
        self.sweep_libraries = metrics.counter(
            "sweep_libraries", "Libraries that the sweep found lagging, by what it did.", ("result",)
        )
