"""The runs of the log, and the state of one."""

from aiohttp import web

from service.errors import BrokerError
from service.task_groups import unwrapped_task_group
from service.web.api.run_answers import RunEntry, RunFacts, RunList
from service.web.api.run_facts import facts_of, state_of
from service.web.api.standing import command_for
from service.web.keys import RUNS
from service.web.runs import LiveRun


async def list_runs(request: web.Request) -> RunList:
    """Return the runs of the log."""
    runs = request.app[RUNS]
    names, entries = await runs.names(), dict[str, RunEntry]()
    async with unwrapped_task_group() as tasks:
        for name in names:
            tasks.start_soon(_enter, entries, name, runs.opened.get(name))
    return RunList(runs=[entries[name] for name in names])


async def _enter(entries: dict[str, RunEntry], name: str, live: LiveRun | None) -> None:
    """Add the entry of a run; its state is unknown while it is not read, or its log cannot be asked."""
    try:
        state = None if live is None else await state_of(live)
    except BrokerError:
        state = None
    command = None if live is None or state is None else command_for(state, live.settings)
    entries[name] = RunEntry(run=name, is_open=live is not None, state=state, command=command)


async def show_run(request: web.Request) -> RunFacts:
    """Return the state of a run."""
    return await facts_of(await request.app[RUNS].of(request.match_info["run"]))
