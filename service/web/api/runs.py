"""The runs of the log, and the state of one."""

from aiohttp import web

from service.web.api.run_answers import RunEntry, RunFacts, RunList
from service.web.api.run_facts import facts_of
from service.web.keys import RUNS


async def list_runs(request: web.Request) -> RunList:
    """Return the runs of the log."""
    runs = request.app[RUNS]
    return RunList(runs=[RunEntry(run=name, is_open=name in runs.opened) for name in await runs.names()])


async def show_run(request: web.Request) -> RunFacts:
    """Return the state of a run."""
    return await facts_of(await request.app[RUNS].of(request.match_info["run"]))
