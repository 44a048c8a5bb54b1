"""What metadata tells in its pulse, besides its queues."""

from __future__ import annotations

from services.metadata.measures import Measures
from services.metadata.sweep import Sweep
from syncline.ports.queues import Queue
from syncline.serving.measures import Count, Gauge, Labels, Measure, Percentile, buckets, total
from syncline.serving.metrics import Metrics


def measures_of_metadata(metrics: Metrics, measures: Measures, sweep: Sweep) -> list[Measure]:
    """A commit's time is that of its batch, from its receiving to its end."""

    def of_commits(labels: Labels) -> bool:
        return labels["queue"] == Queue.COMMITS.value

    def given_up(labels: Labels) -> bool:
        return labels["result"] == "given-up"

    grants, libraries = total(measures.sweep_grants, given_up), total(measures.sweep_libraries, given_up)
    seconds = buckets(metrics.message_seconds, of_commits)
    return [
        Count("commits", total(measures.commits)),
        Count("changes", total(measures.changes)),
        Percentile("commit_p50_s", seconds, share=0.5),
        Percentile("commit_p99_s", seconds),
        Count("sweep_given_up", lambda: grants() + libraries()),
        Gauge("sweep_rounds_missed", sweep.rounds_missed),
        Gauge("views_behind_s", sweep.views_behind_s),
        Gauge("news_behind_s", sweep.news_behind_s),
    ]
