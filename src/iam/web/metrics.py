"""Counters. Plain integers on the hot path, turned into Prometheus metrics only when scraped.

`prometheus_client` takes a lock for each increment; the gate must not.
"""

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Metrics:
    """What a process counts. Increments may be lost between threads; none is ever invented."""

    def __init__(self) -> None:
        self.validations: Counter[str] = Counter()
        self.sign_ins: Counter[str] = Counter()
        self.started = 0
        self.ended: Counter[str] = Counter()
        self.active = 0
        self.count_again_at = 0.0
        self.streams = 0
        self.deliveries: Counter[str] = Counter()
        self.mails: Counter[str] = Counter()
        self.registry = CollectorRegistry()
        self.durations = Histogram(
            "iam_request_duration_seconds",
            "Time from request to answer, by door.",
            ["door"],
            registry=self.registry,
        )
        self.registry.register(_Plain(self))

    def render(self) -> bytes:
        """The text format of a scrape."""
        return generate_latest(self.registry)


class _Plain(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        metrics = self._metrics
        yield GaugeMetricFamily("iam_sessions_active", "Live sessions.", value=metrics.active)
        yield GaugeMetricFamily("iam_event_streams", "Open live feeds.", value=metrics.streams)
        yield CounterMetricFamily(
            "iam_sessions_started", "Sessions started.", value=metrics.started
        )
        for name, text, label, counts in (
            ("iam_sessions_ended", "Sessions ended, by reason.", "reason", metrics.ended),
            ("iam_validations", "Validations, by outcome.", "outcome", metrics.validations),
            (
                "iam_deliveries",
                "Attempts to deliver a notice, by outcome.",
                "outcome",
                metrics.deliveries,
            ),
            ("iam_mails", "Attempts to hand over a mail, by outcome.", "outcome", metrics.mails),
            ("iam_sign_ins", "Sign-ins, by outcome.", "outcome", metrics.sign_ins),
        ):
            family = CounterMetricFamily(name, text, labels=[label])
            for value, count in sorted(counts.items()):
                family.add_metric([value], count)
            yield family
