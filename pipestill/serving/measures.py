"""What a server counts, as Prometheus reads it; labels are experiments of the shelf, routes and statuses alone."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

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

    def gauge(self, name: str, about: str, value: Callable[[], float]) -> None:
        """Show ``value`` as it is at the time."""
        Gauge(name, about, registry=self.registry).set_function(value)

    def batch(self, experiment: str, size: int, seconds: float) -> None:
        """A batch was answered."""
        self.size.observe(size)
        self.seconds.labels(experiment).observe(seconds)

    def answered(self, experiment: str, seconds: float, read: int, written: int) -> None:
        """A request was answered that had been in the queue for some ``seconds``, and its tokens."""
        self.waited.labels(experiment).observe(seconds)
        self.tokens.labels(experiment, "read").inc(read)
        self.tokens.labels(experiment, "written").inc(written)

    def text(self) -> bytes:
        """All of it, in the format of Prometheus."""
        return generate_latest(self.registry)
