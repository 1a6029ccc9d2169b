"""The lineage of a task whose prompt is lost: its record in the pool says where it is from."""

from msgspec import structs

from service.run.lineage import Evidence
from tests.support import examples


def test_a_machine_task_without_its_prompt_is_no_seed() -> None:
    task = structs.replace(examples.pooled(1), id="p0.0")
    evidence = Evidence("p0.0", "p0", 0)
    for message in (examples.pooled_seed(0), task):
        evidence.apply(message)
    facts = evidence.facts()
    assert (facts["state"], facts["depth"], facts["templates"]) == ("accepted", 1, "tt")
    assert facts["parents"] == [{"id": "s0", "instruction": examples.seed_task(0).instruction}]


def test_a_seed_is_one_by_its_origin() -> None:
    evidence = Evidence("s0", "s0", None)
    evidence.apply(examples.pooled_seed(0))
    facts = evidence.facts()
    assert (facts["state"], facts["depth"], facts["parents"]) == ("seed", 0, [])
