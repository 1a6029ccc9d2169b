"""Prometheus metrics on this process's calls to the model."""

from collections.abc import Iterable

import anyio
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from service.lm.dispatch import Dispatcher, UpstreamState


def model_numbers(dispatcher: Dispatcher) -> Iterable[Metric]:
    """Yield calls in flight and waiting, and by server the adaptive limit, state, outcomes and slowdowns."""
    slots = dispatcher.slots
    yield GaugeMetricFamily("seedstream_lm_inflight", "Calls to the model on their way.", value=slots.in_use)
    yield GaugeMetricFamily("seedstream_lm_waiting", "Calls that wait for their turn.", value=slots.waiting)
    yield _limits(dispatcher)
    yield _open(dispatcher)
    yield _outcomes(dispatcher)
    yield _slowdowns(dispatcher)


def _limits(dispatcher: Dispatcher) -> Metric:
    limits = GaugeMetricFamily(
        "seedstream_lm_concurrency_limit", "Calls that a server gets at once now.", labels=["endpoint"]
    )
    now_s = anyio.current_time()
    for upstream in dispatcher.balancer.all:
        limits.add_metric([upstream.endpoint.name], float(upstream.places(now_s)))
    return limits


def _open(dispatcher: Dispatcher) -> Metric:
    states = GaugeMetricFamily("seedstream_lm_open", "1 where a server takes calls.", labels=["endpoint"])
    now_s = anyio.current_time()
    for upstream in dispatcher.balancer.all:
        states.add_metric([upstream.endpoint.name], float(upstream.state(now_s) is not UpstreamState.CLOSED))
    return states


def _outcomes(dispatcher: Dispatcher) -> Metric:
    attempts = CounterMetricFamily(
        "seedstream_lm_requests", "Attempts by what came of them.", labels=["endpoint", "outcome"]
    )
    for upstream in dispatcher.balancer.all:
        for outcome, count in sorted(upstream.outcomes.items()):
            attempts.add_metric([upstream.endpoint.name, outcome], float(count))
    return attempts


def _slowdowns(dispatcher: Dispatcher) -> Metric:
    cuts = CounterMetricFamily("seedstream_lm_slowdowns", "How often less was sent to a server.", labels=["endpoint"])
    for upstream in dispatcher.balancer.all:
        cuts.add_metric([upstream.endpoint.name], float(upstream.limit.cuts))
    return cuts
