"""Prometheus metric on open work that stands still."""

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from service.pipeline.role import Role
from service.pipeline.roles import Worked
from service.pipeline.stall import Stall

_NOTHING, _MODEL, _LEASES = "none", "model", "leases"


def stall_numbers(stall: Stall, worked: Worked) -> Metric:
    """Return the seconds without movement by what is waited for: roles, or what this process needs for its own role."""
    stalled = GaugeMetricFamily(
        "seedstream_stalled",
        "Seconds for which the run has had work and nothing has moved, by what its records wait for; 0 while they move "
        "or there is no work.",
        labels=["waiting_for"],
    )
    for name in sorted({_needed(role, worked) for role in stall.waiting}) or [_NOTHING]:
        stalled.add_metric([name], stall.seconds)
    return stalled


def _needed(role: Role, worked: Worked) -> str:
    """Return what work of a role waits for: the role, or what keeps this process from doing it."""
    dispatcher = worked.dispatchers.get(role)
    if dispatcher is None:
        return role.value
    if dispatcher.refusal is not None:
        return _MODEL
    return role.value if dispatcher.balancer.share.has_part else _LEASES
