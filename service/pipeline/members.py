"""Looking at a run without disturbing it, also while another process works on it."""

from dataclasses import dataclass

from service.messaging.broker import Broker
from service.pipeline.roles import SINGLE, Role
from service.runtime.leader_election import election_group


@dataclass(frozen=True, slots=True)
class Members:
    """The processes that have a role, by name: those at work, and those that would take over."""

    active: tuple[str, ...] = ()
    standing_by: tuple[str, ...] = ()


async def read_members(broker: Broker, run: str) -> dict[Role, Members]:
    """Return who has which role now, as the log's groups say; roles that nobody has are left out."""
    staff = {}
    for role in Role:
        alone = role in SINGLE
        members = await broker.members(election_group(run, role) if alone else f"seedstream.{run}.{role}")
        active = tuple(sorted(member.name for member in members if member.owned or not alone))
        waiting = tuple(sorted(member.name for member in members if alone and not member.owned))
        if members:
            staff[role] = Members(active, waiting)
    return staff
