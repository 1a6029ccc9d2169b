"""The bill as tables, as JSON, in the panel, and for one id."""

from typing import Any

import orjson
import pytest
from msgspec import structs

from service.cli.cost import by_model, by_outcome, by_stage, console_for
from service.cli.facts import cost, dollars, essential_costs, summary, tokens
from service.lm.usage import Usage
from service.messaging.messages import FailedCall, GoalSet, Message
from service.run.cost_report import statement
from service.run.facts import facts
from service.run.lineage import Evidence
from service.run.progress import Progress
from service.selfinstruct.tasks import InstanceReason, Reason
from tests.billing.test_bill import answer, call, classified, decision, failed_prompt, written
from tests.cli.test_rendering import shown
from tests.support import examples
from tests.support.logs import RUN

GOAL = GoalSet(run=RUN, target=4, budget_usd=20.0, max_marginal_cost_usd=0.5, rpm=60)
WASTED = FailedCall(attempts=3, wasted=Usage(7, 2), cost_usd=0.5, prices="v")


def fold(*messages: Message) -> Progress:
    progress = Progress()
    for message in messages:
        progress.apply(message)
    return progress


def bought() -> Progress:
    """Return a run that has paid 5.5 dollars for a finished task, two of them for a repeated answer."""
    return fold(
        examples.definition(0),
        GOAL,
        *(examples.prompt(seq) for seq in range(2)),
        answer(0, 1.0),
        answer(0, 2.0),
        decision(0, None, Reason.TOO_SIMILAR),
        failed_prompt(1, WASTED),
        decision(1, failure="no answer"),
        classified(0, 0.5),
        written(0, cost_usd=1.5),
        structs.replace(examples.finished(0), id="p0.0"),
    )


def test_no_name_and_no_amount_of_a_model_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"an-organisation/{'a-model-with-a-long-name-' * 4}instruct"
    by_large = structs.replace(call(0.0384567, Usage(1_234_567_890, 987_654_321)), model=name)
    progress = fold(examples.definition(0), GOAL, answer(0, 1.0), structs.replace(written(0), call=by_large))
    monkeypatch.setenv("COLUMNS", "80")
    tables = [by_stage(progress), by_model(progress)]
    console = console_for(tables)
    with console.capture() as capture:
        for table in tables:
            console.print(table)
    told = capture.get()
    for whole in ("generate", name, "1,234,567,890", "987,654,321", dollars(0.0384567), "tokens wasted"):
        assert whole in told
    assert "…" not in told


def test_the_statement_is_the_whole_bill() -> None:
    told = statement(bought())
    assert (told["cost_usd"], told["known_cost_usd"], told["paid_twice"]) == (5.5, 5.5, 1)
    assert (told["per_accepted_usd"], told["per_finished_usd"], told["marginal_usd"]) == (5.5, 5.5, None)
    assert (told["budget_usd"], told["budget_left_usd"], told["max_marginal_cost_usd"]) == (20.0, 14.5, 0.5)
    assert told["prices"] == ["v"]
    assert told["outcomes_usd"] == {
        "candidates": {"accepted": 0.5, "too_similar": 0.5, "failed": 0.5},
        "tasks": {"finished": 2.0},
        "paid_twice": 2.0,
    }
    generate = told["stages"]["generate"]
    assert (generate["calls"], generate["attempts"], generate["failed"], generate["repeated"]) == (2, 5, 1, 1)
    assert (generate["cost_usd"], generate["failed_cost_usd"], generate["wasted_prompt_tokens"]) == (3.5, 0.5, 7)
    assert sum(stage["cost_usd"] for stage in told["stages"].values()) == told["total"]["cost_usd"] == 5.5
    assert told["forecast_usd"] > 5.5


def test_the_statement_of_a_dropped_task_is_plain_json() -> None:
    dropped = structs.replace(written(0, cost_usd=1.5), rejection=InstanceReason.NONE_VALID, instances=())
    told = statement(fold(examples.prompt(0), answer(0, 1.0), decision(0, None), classified(0, 0.5), dropped))
    assert orjson.loads(orjson.dumps(told))["outcomes_usd"]["tasks"] == {"none_valid": 2.0}


def test_the_tables_show_stages_and_outcomes_with_their_shares() -> None:
    stages, outcomes = shown(by_stage(bought())), shown(by_outcome(bought()))
    for part in ("generate", "classify", "instances", "$3.5000", "$5.5000"):
        assert part in stages
    for part in ("too_similar", "failed", "finished", "paid twice", "36.4%", "9.1%"):
        assert part in outcomes


def test_the_essentials_are_said_in_words() -> None:
    said = essential_costs(bought())
    assert said["cost"] == "$5.5000"
    assert (said["an accepted task"], said["a finished task"]) == ("$5.5000", "$5.5000")
    assert cost(bought()) == "$5.5000, $5.5000 an accepted task, $5.5000 a finished one"
    assert said["each of the last 1,000"] == "unknown, $0.500000 allowed"
    assert (said["budget"], said["paid twice"], said["price tables"]) == ("$14.5000 left of $20.0000", "1 calls", "v")
    assert said["forecast"].endswith("for 4 finished tasks")
    assert essential_costs(fold())["budget"] == "none"


def test_the_panel_shows_budget_and_forecast_where_known() -> None:
    assert summary(bought())["budget"] == "$14.5000 left of $20.0000"
    assert "forecast" in summary(bought())
    assert not {"budget", "forecast"} & summary(fold(examples.goal(4), answer(0, None))).keys()


def test_status_tells_costs_and_limits() -> None:
    told = facts(bought())
    assert (told["cost_usd"], told["budget_left_usd"]) == (5.5, 14.5)
    assert told["limits"] == {"rpm": 60, "tpm": None, "max_in_flight": None}
    assert facts(fold())["limits"] == {"rpm": None, "tpm": None, "max_in_flight": None}


def test_unknown_costs_are_said_to_be_unknown() -> None:
    partly = fold(answer(0, 1.0), answer(1, None), decision(0, None))
    assert cost(partly) == "at least $1.0000, 1 calls of unknown cost, $2.0000 an accepted task"
    assert (statement(partly)["cost_usd"], statement(partly)["known_cost_usd"]) == (None, 1.0)
    assert "at least $1.0000" in shown(by_stage(partly))
    nothing = fold(answer(1, None))
    assert statement(nothing)["outcomes_usd"] == {"candidates": None, "tasks": None, "paid_twice": None}
    for text in (shown(by_stage(nothing)), shown(by_outcome(nothing)), essential_costs(nothing)["forecast"]):
        assert "unknown" in text
        assert "$0" not in text


def test_tokens_are_told_apart_where_the_server_does() -> None:
    usage = Usage(1_000, 200, cached_tokens=600, reasoning_tokens=150)
    call = structs.replace(examples.CALL, usage=usage, wasted=Usage(30, 4))
    progress = fold(structs.replace(examples.answer(0), call=call), failed_prompt(1, WASTED))
    expected = "1,000 in (600 cached), 200 out (150 reasoning), 1 calls, 43 tokens wasted, 1 calls failed"
    assert tokens(progress) == expected


@pytest.mark.parametrize(
    ("usd", "said"),
    [(None, "unknown"), (0.0, "$0"), (1234.5, "$1,234.5000"), (0.04, "$0.040000"), (1.23e-7, "$0.000000123")],
)
def test_money_is_written_with_as_many_digits_as_it_needs(usd: float | None, said: str) -> None:
    assert dollars(usd) == said


def explained(*messages: Message) -> dict[str, Any]:
    evidence = Evidence("p0", "p0", None)
    for message in messages:
        evidence.apply(message)
    return evidence.facts()


def test_what_an_id_cost_has_its_failed_calls_in_it() -> None:
    told = explained(examples.prompt(0), failed_prompt(0, WASTED), decision(0, failure="no answer"))
    assert (told["cost_usd"], told["calls"]) == (0.5, {})
    assert told["failed_calls"]["generate"]["attempts"] == 3
    assert explained(examples.prompt(0), answer(0, 1.5))["cost_usd"] == 1.5
    unknown = structs.replace(WASTED, cost_usd=None)
    assert explained(examples.prompt(0), failed_prompt(0, unknown))["cost_usd"] is None
