"""The values of charts."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any, Generic, TypeVar

from aiohttp import web
from msgspec import Meta, Struct

from service.web.keys import RUNS
from service.web.problems import ProblemError
from service.web.read_model.chart_answers import (
    AcceptancePoint,
    CostPoint,
    Diversity,
    PoolPoint,
    RejectionPoint,
    SeriesName,
)
from service.web.reading import query_of

V = TypeVar("V")

_DIVERSITY = "diversity"
NAMES = (*(name.value for name in SeriesName), _DIVERSITY)


class ChartQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of a chart: the number of its points, at most."""

    points: Annotated[int, Meta(ge=2, le=500)] = 100


class Chart(Struct, Generic[V], frozen=True, kw_only=True):
    """The values of a chart: points over time, or one summary."""

    values: Sequence[V]


CHARTS = (Chart[RejectionPoint], Chart[AcceptancePoint], Chart[PoolPoint], Chart[CostPoint], Chart[Diversity])


async def show_chart(request: web.Request) -> Chart[Any]:
    """Return the values of a chart.

    Raises:
        ProblemError: there is no chart of this name.
    """
    name, asked = request.match_info["name"], query_of(request, ChartQuery)
    live = await request.app[RUNS].of(request.match_info["run"])
    if name == _DIVERSITY:
        return Chart(values=[await live.model.diversity()])
    if name not in NAMES:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"expected one of the charts {', '.join(NAMES)}, got {name[:100]!r}")
    return Chart(values=await live.model.series(SeriesName(name), asked.points))
