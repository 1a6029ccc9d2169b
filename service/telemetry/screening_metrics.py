"""Prometheus metrics on hints: their use by the filter, and their number from screens."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from service.pool.hints import Hints
    from service.pool.screen_worker import Screening


def hint_numbers(hints: "Hints") -> Iterable[Metric]:
    """Yield the candidates by use of their hints in this process, and whether hints are still believed."""
    from service.pool.hints import Use  # noqa: PLC0415 - with the index of the pool, which few workers have

    uses = CounterMetricFamily(
        "seedstream_hints",
        "Candidates by what the hint on them was good for: missing and unfit mean a full search, as do audited and "
        "wrong; late are whole answers.",
        labels=["use"],
    )
    for use in Use:
        uses.add_metric([use], float(hints.tally[use]))
    yield uses
    yield GaugeMetricFamily(
        "seedstream_hints_believed", "0 once a hint has been found wrong: look for screen.hint_wrong.", hints.believed
    )


def screen_numbers(screening: "Screening") -> Metric:
    """Return the counter of hints that this process has written."""
    return CounterMetricFamily("seedstream_screen_hints", "Answers that this screen gave a hint on.", screening.written)
