"""Example messages for tests: arguments set the relevant fields, and defaults fill the rest."""

from zlib import crc32

from msgspec import structs

from service.lm.port import FinishReason
from service.lm.usage import Usage
from service.messaging.messages import (
    Answer,
    Call,
    CandidateVerdict,
    ClassifiedInstruction,
    Decision,
    FailedPrompt,
    FinishedTask,
    GoalSet,
    Instruction,
    Origin,
    PooledTask,
    Prompt,
    Provenance,
    RunDefined,
    SubmittedSeed,
    TaskInstances,
)
from service.selfinstruct.recipe import SELF_INSTRUCT, Recipe
from service.selfinstruct.tasks import Candidate, Instance, InstanceReason, Reason, SeedTask
from service.selfinstruct.templates import Templates
from tests.support.logs import RUN

TEMPLATES = Templates(
    instructions="Tasks:\n{{demonstrations}}",
    instructions_classification="Labels:\n{{demonstrations}}",
    classification="Is it? {{instruction}}",
    instances_generation="Solve: {{instruction}}\n",
    instances_classification="Label: {{instruction}}\n",
    alpaca="Whole tasks:\n{{demonstrations}}",
)
CALL = Call(
    model="scripted",
    completion="text",
    finish_reason=FinishReason.STOP,
    usage=Usage(10, 5),
    attempts=1,
    cost_usd=0.5,
)
PROVENANCE = Provenance(prompt_id="p0", parents=("s0",), depth=1, recipe="rr", templates="tt", model="scripted")


def prompt(seq: int) -> Prompt:
    return Prompt(
        id=f"p{seq}", seq=seq, text=f"<p{seq}>", demonstrations=("s0", "s1"), depth=1, recipe="rr", templates="tt"
    )


def answer(seq: int, *instructions: str | Candidate) -> Answer:
    return Answer(
        prompt_id=f"p{seq}",
        prompt_seq=seq,
        demonstrations=("s0", "s1"),
        depth=3,
        recipe="rr",
        templates="tt",
        call=CALL,
        candidates=tuple(
            Candidate(position, given) if isinstance(given, str) else given
            for position, given in enumerate(instructions)
        ),
    )


def failed(seq: int, failure: str = "no answer after 6 attempts") -> FailedPrompt:
    return FailedPrompt(prompt_id=f"p{seq}", prompt_seq=seq, failure=failure)


def seed_task(number: int, instruction: str = "", *, is_classification: bool = False) -> SeedTask:
    text = instruction or f"seed{number} " + " ".join(f"w{number}x{word}" for word in range(6))
    return SeedTask(f"s{number}", f"name{number}", text, (Instance("in", f"out{number}"),), is_classification)


def seed(number: int, instruction: str = "") -> SubmittedSeed:
    task = seed_task(number, instruction)
    return SubmittedSeed(id=task.id, seed=task)


def pooled_seed(number: int, *, is_classification: bool = False) -> PooledTask:
    task = seed_task(number, is_classification=is_classification)
    return PooledTask(pool_seq=number, id=task.id, origin=Origin.HUMAN, instruction=task.instruction, seed=task)


def pooled(pool_seq: int, instruction: str = "", depth: int = 1) -> PooledTask:
    return PooledTask(
        pool_seq=pool_seq,
        id=f"m{pool_seq}",
        origin=Origin.MACHINE,
        instruction=instruction or f"machine{pool_seq} writes something new",
        provenance=structs.replace(PROVENANCE, depth=depth),
    )


def decision(seq: int, accepted: int = 0, pool_size: int = 0, failure: str | None = None) -> Decision:
    verdicts = tuple(CandidateVerdict(id=f"p{seq}.{place}", reason=None) for place in range(accepted))
    refused = (CandidateVerdict(id=f"p{seq}.{accepted}", reason=Reason.TOO_SHORT),) if failure is None else ()
    return Decision(
        prompt_id=f"p{seq}",
        prompt_seq=seq,
        recipe="rr",
        verdicts=verdicts + refused,
        failure=failure,
        pool_size=pool_size,
    )


def pool_seq_of(name: str) -> int:
    """Return a number for the id of an accepted task: each has one of its own, as in a pool."""
    return int(name[1:]) if name[:1] == "m" else 1_000 + crc32(name.encode()) % 50_000


def instruction(name: str, text: str = "Name three rivers of Europe.") -> Instruction:
    return Instruction(id=name, pool_seq=pool_seq_of(name), instruction=text, provenance=PROVENANCE)


def classified(name: str, *, is_classification: bool | None, failure: str | None = None) -> ClassifiedInstruction:
    return ClassifiedInstruction(
        id=name,
        pool_seq=pool_seq_of(name),
        instruction="Name three rivers of Europe.",
        provenance=PROVENANCE,
        is_classification=is_classification,
        call=CALL if failure is None else None,
        failure=failure,
    )


def task_instances(name: str, rejection: InstanceReason | None = None) -> TaskInstances:
    return TaskInstances(
        id=name,
        pool_seq=pool_seq_of(name),
        instruction="Name three rivers of Europe.",
        provenance=PROVENANCE,
        is_classification=False,
        instances=() if rejection is not None else (Instance("", "Rhine, Po, Don"),),
        rejection=rejection,
        call=CALL,
    )


def finished(task_seq: int) -> FinishedTask:
    return FinishedTask(
        task_seq=task_seq,
        id=f"m{task_seq}",
        instruction="Name three rivers of Europe.",
        is_classification=False,
        instances=(Instance("", "Rhine, Po, Don"),),
        pool_seq=task_seq,
        provenance=PROVENANCE,
    )


def definition(seed_count: int, recipe: Recipe = SELF_INSTRUCT, random_seed: int = 0) -> RunDefined:
    return RunDefined(
        run=RUN,
        recipe=recipe,
        templates=TEMPLATES,
        seeds="ss",
        seed_count=seed_count,
        random_seed=random_seed,
        made_by="a test",
    )


def goal(target: int, max_prompts: int | None = None) -> GoalSet:
    return GoalSet(run=RUN, target=target, max_prompts=max_prompts)
