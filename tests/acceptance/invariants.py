"""The invariants of a run's log, which hold after any failure of its processes. Each one is a check of its own.

ROUGE-L comes from the package `rouge_score` here, not from the index of the product.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from service.messaging.messages import (
    Answer,
    ClassifiedInstruction,
    Decision,
    FailedPrompt,
    Instruction,
    Origin,
    PooledTask,
    Prompt,
    RunEnded,
    TaskInstances,
)
from tests.acceptance.ledger import Ledger
from tests.selfinstruct import reference


def check(ledger: Ledger, target: int, *, without: "Sequence[Invariant]" = ()) -> None:
    """Check all invariants of a run that has reached its target."""
    exactly_as_many_tasks_as_wanted(ledger, target)
    for invariant in (*ALWAYS, *AT_REST):
        if invariant not in without:
            invariant(ledger)


def check_at_any_moment(ledger: Ledger) -> None:
    """Check all invariants of a log whose processes may have been killed."""
    for invariant in ALWAYS:
        invariant(ledger)


def exactly_as_many_tasks_as_wanted(ledger: Ledger, target: int) -> None:
    assert len(ledger.tasks) == target
    last = ledger.all(RunEnded)[-1]
    assert (last.ending.value, last.target, last.finished) == ("target_reached", target, target)


def task_ids_are_unique(ledger: Ledger) -> None:
    assert not _repeated(task.id for task in ledger.tasks)


def task_seq_is_dense(ledger: Ledger) -> None:
    assert sorted(task.task_seq for task in ledger.tasks) == list(range(len(ledger.tasks)))


def pool_seq_is_dense_and_ordered(ledger: Ledger) -> None:
    pool = ledger.all(PooledTask)
    assert [task.pool_seq for task in pool] == list(range(len(pool)))
    assert not _repeated(task.id for task in pool)


def parents_came_before_their_children(ledger: Ledger) -> None:
    known: dict[str, PooledTask] = {}
    for task in ledger.all(PooledTask):
        if task.provenance is not None:
            parents = [known[parent] for parent in task.provenance.parents]
            assert task.depth == 1 + max(parent.depth for parent in parents)
        known[task.id] = task


def prompt_seq_is_dense(ledger: Ledger) -> None:
    assert sorted(prompt.seq for prompt in ledger.all(Prompt)) == list(range(len(ledger.all(Prompt))))
    known = {task.id for task in ledger.all(PooledTask)}
    assert all(known.issuperset(prompt.demonstrations) for prompt in ledger.all(Prompt))


def no_prompt_is_decided_twice(ledger: Ledger) -> None:
    decided = [decision.prompt_id for decision in ledger.all(Decision)]
    assert not _repeated(decided)
    assert {prompt.id for prompt in ledger.all(Prompt)}.issuperset(decided)


def no_call_is_recorded_twice(ledger: Ledger) -> None:
    answered = [answer.prompt_id for answer in ledger.all(Answer)]
    assert not _repeated([*answered, *(failed.prompt_id for failed in ledger.all(FailedPrompt))])
    assert not _repeated(task.id for task in ledger.all(ClassifiedInstruction))
    assert not _repeated(task.id for task in ledger.all(TaskInstances))
    assert not _repeated(ledger.completed_prompts())


def every_prompt_is_decided_or_still_queued(ledger: Ledger) -> None:
    decided = {decision.prompt_id for decision in ledger.all(Decision)}
    queued = {prompt.id for prompt in ledger.unread(Prompt, "generate")}
    for kind in (Answer, FailedPrompt):
        queued |= {each.key for each in ledger.unread(kind, "admit")}
    assert {prompt.id for prompt in ledger.all(Prompt)} <= decided | queued


def the_pool_is_what_the_decisions_accepted(ledger: Ledger) -> None:
    pool = ledger.all(PooledTask)
    assert [task.id for task in pool if task.origin is Origin.MACHINE] == ledger.accepted
    sizes = [decision.pool_size for decision in ledger.all(Decision)]
    assert sizes == sorted(sizes)
    assert not sizes or sizes[-1] <= len(pool)


def the_nearest_of_a_refused_candidate_was_in_the_pool(ledger: Ledger) -> None:
    position = {task.id: task.pool_seq for task in ledger.all(PooledTask)}
    for decision in ledger.all(Decision):
        for verdict in decision.verdicts:
            assert (verdict.nearest is not None) == (verdict.reason is not None and verdict.reason == "too_similar")
            if verdict.nearest is not None:
                assert position[verdict.nearest] < decision.pool_size
                assert verdict.score is not None
                assert verdict.score > ledger.threshold


def every_accepted_task_is_finished_or_dropped_or_still_queued(ledger: Ledger) -> None:
    queued = {each.id for each in ledger.unread(Instruction, "classify")}
    queued |= {each.id for each in ledger.unread(ClassifiedInstruction, "instances")}
    queued |= {each.id for each in ledger.unread(TaskInstances, "finish")}
    assert ledger.pending <= queued


def every_finished_task_is_in_the_pool_and_has_instances(ledger: Ledger) -> None:
    pool = {task.id: task for task in ledger.all(PooledTask)}
    for task in ledger.tasks:
        pooled = pool[task.id]
        assert (task.instruction, task.pool_seq) == (pooled.instruction, pooled.pool_seq)
        assert task.provenance == pooled.provenance
        assert 1 <= len(task.instances) <= ledger.definition.recipe.max_instances
        assert all(instance.output.strip() for instance in task.instances)


def nothing_is_dead_lettered(ledger: Ledger) -> None:
    assert ledger.dead_letters == 0


def what_was_answered_is_decided(ledger: Ledger) -> None:
    answered = {answer.prompt_id for answer in ledger.all(Answer)} | {
        each.prompt_id for each in ledger.all(FailedPrompt)
    }
    assert answered == {decision.prompt_id for decision in ledger.all(Decision)}


def all_seeds_are_in_the_pool(ledger: Ledger) -> None:
    seeds = [task for task in ledger.all(PooledTask) if task.seed is not None]
    assert len(seeds) >= ledger.definition.seed_count


def no_machine_task_is_too_similar_to_an_earlier_one(ledger: Ledger) -> None:
    language = ledger.definition.recipe.filters.language
    score, words = reference.scorer_of(language), reference.words_of(language)
    bags: list[tuple[str, Counter[str]]] = []
    for task in ledger.all(PooledTask):
        bag = Counter(words(task.instruction))
        for earlier, other in bags if task.origin is Origin.MACHINE else ():
            # F is 2 LCS / (m + n), and the LCS of two texts is at most the number of words that they share.
            if 2 * (bag & other).total() > ledger.threshold * (bag.total() + other.total()):
                assert score(earlier, task.instruction) <= ledger.threshold
        bags.append((task.instruction, bag))


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


Invariant = Callable[[Ledger], None]

ALWAYS: tuple[Invariant, ...] = (
    task_ids_are_unique,
    task_seq_is_dense,
    pool_seq_is_dense_and_ordered,
    parents_came_before_their_children,
    prompt_seq_is_dense,
    no_prompt_is_decided_twice,
    no_call_is_recorded_twice,
    every_prompt_is_decided_or_still_queued,
    the_pool_is_what_the_decisions_accepted,
    the_nearest_of_a_refused_candidate_was_in_the_pool,
    every_accepted_task_is_finished_or_dropped_or_still_queued,
    every_finished_task_is_in_the_pool_and_has_instances,
    nothing_is_dead_lettered,
)
AT_REST: tuple[Invariant, ...] = (
    what_was_answered_is_decided,
    all_seeds_are_in_the_pool,
    no_machine_task_is_too_similar_to_an_earlier_one,
)
