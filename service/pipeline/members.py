"""Lists the processes that work on a run, from the consumer groups of its roles."""

from dataclasses import dataclass

from service.messaging.broker import Broker
from service.pipeline.role import SINGLE, Role
from service.runtime.leader_election import election_group


@dataclass(frozen=True, slots=True)
class Members:
    """Names of the processes with a role: the active ones, and those that stand by to take over."""

    active: tuple[str, ...] = ()
    standing_by: tuple[str, ...] = ()


async def read_members(broker: Broker, run: str) -> dict[Role, Members]:
    """Return the processes of each role, from the members of its consumer group; roles without members are omitted."""
    staff = {}
    for role in Role:
        alone = role in SINGLE
        members = await broker.members(election_group(run, role) if alone else f"seedstream.{run}.{role}")
        active = tuple(sorted(member.name for member in members if member.owned or not alone))
        waiting = tuple(sorted(member.name for member in members if alone and not member.owned))
        if members:
            staff[role] = Members(active, waiting)
    return staff
