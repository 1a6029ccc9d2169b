"""Prometheus metrics on this process's calls to the model."""

from collections.abc import Iterable, Sequence

import anyio
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from service.lm.dispatch import Dispatcher, Upstream, UpstreamState


def model_numbers(dispatchers: Sequence[Dispatcher]) -> Iterable[Metric]:
    """Yield calls in flight and waiting, and by server the adaptive limit, state, outcomes and slowdowns."""
    in_flight, waiting = (sum(getattr(each.slots, name) for each in dispatchers) for name in ("in_use", "waiting"))
    yield GaugeMetricFamily("seedstream_lm_inflight", "Calls to the model on their way.", value=in_flight)
    yield GaugeMetricFamily("seedstream_lm_waiting", "Calls that wait for their turn.", value=waiting)
    upstreams = [upstream for dispatcher in dispatchers for upstream in dispatcher.balancer.all]
    yield _limits(upstreams)
    yield _open(upstreams)
    yield _outcomes(upstreams)
    yield _slowdowns(upstreams)


def _limits(upstreams: Sequence[Upstream]) -> Metric:
    limits = GaugeMetricFamily(
        "seedstream_lm_concurrency_limit", "Calls that a server gets at once now.", labels=["endpoint"]
    )
    now_s = anyio.current_time()
    for upstream in upstreams:
        limits.add_metric([upstream.endpoint.name], float(upstream.places(now_s)))
    return limits


def _open(upstreams: Sequence[Upstream]) -> Metric:
    states = GaugeMetricFamily("seedstream_lm_open", "1 where a server takes calls.", labels=["endpoint"])
    now_s = anyio.current_time()
    for upstream in upstreams:
        states.add_metric([upstream.endpoint.name], float(upstream.state(now_s) is not UpstreamState.CLOSED))
    return states


def _outcomes(upstreams: Sequence[Upstream]) -> Metric:
    attempts = CounterMetricFamily(
        "seedstream_lm_requests", "Attempts by what came of them.", labels=["endpoint", "outcome"]
    )
    for upstream in upstreams:
        for outcome, count in sorted(upstream.outcomes.items()):
            attempts.add_metric([upstream.endpoint.name, outcome], float(count))
    return attempts


def _slowdowns(upstreams: Sequence[Upstream]) -> Metric:
    cuts = CounterMetricFamily("seedstream_lm_slowdowns", "How often less was sent to a server.", labels=["endpoint"])
    for upstream in upstreams:
        cuts.add_metric([upstream.endpoint.name], float(upstream.limit.cuts))
    return cuts
