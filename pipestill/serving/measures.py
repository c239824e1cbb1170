"""What a server counts, as Prometheus reads it; labels are experiments of the shelf, routes and statuses alone."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

if TYPE_CHECKING:
    from pipestill.serving.batcher import Ticket
    from pipestill.serving.serving import Answered, Serving

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Measures:
    """Counters of one server."""

    def __init__(self) -> None:
        disable_created_metrics()
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "pipestill_requests_total", "Requests by path and status.", ["path", "status"], registry=registry
        )
        self.seconds = Histogram(
            "pipestill_model_seconds",
            "Time of the model for a batch.",
            ["experiment"],
            buckets=SECONDS,
            registry=registry,
        )
        self.waited = Histogram(
            "pipestill_queue_seconds", "Time in the queue.", ["experiment"], buckets=SECONDS, registry=registry
        )
        self.size = Histogram("pipestill_batch_size", "Requests of a batch.", buckets=SIZES, registry=registry)
        self.tokens = Counter(
            "pipestill_tokens_total",
            "Tokens that were read and written.",
            ["experiment", "direction"],
            registry=registry,
        )

    def follow(self, serving: "Serving") -> None:
        """Gauges of the state of ``serving``."""
        gauges = {
            "pipestill_requests_waiting": ("Requests that are not answered yet.", lambda: serving.admitted),
            "pipestill_models_loaded": ("Models in memory.", lambda: len(serving.pool)),
            "pipestill_models_bytes": ("Bytes of their weights.", lambda: serving.pool.size),
        }
        for name, (about, value) in gauges.items():
            Gauge(name, about, registry=self.registry).set_function(value)

    def batch(self, batch: Sequence["Ticket"]) -> None:
        """A batch was answered."""
        first = batch[0]
        self.size.observe(len(batch))
        self.seconds.labels(first.model.target.name).observe(first.ended - first.started)

    def answered(self, answered: "Answered") -> None:
        """A request was answered."""
        name = answered.asked.exhibit.name
        self.waited.labels(name).observe(answered.queue_ms / 1000)
        self.tokens.labels(name, "read").inc(answered.reply["prompt_tokens"])
        self.tokens.labels(name, "written").inc(answered.reply["written_tokens"])

    def text(self) -> bytes:
        """All of it, in the format of Prometheus."""
        return generate_latest(self.registry)
