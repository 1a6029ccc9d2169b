"""The limits of a run hold for its whole fleet: concurrent calls, calls per minute, dollars, and pauses."""

from pathlib import Path

import orjson
import pytest

from service.simulator.journal import Entry
from tests.acceptance.invariants import check, check_at_any_moment
from tests.acceptance.ledger import Ledger
from tests.acceptance.model import Model, eventually, simulated
from tests.acceptance.program import run, start
from tests.kafka.cluster import Cluster
from tests.kafka.fleet import Fleet, watched
from tests.kafka.http import fetch, free_port
from tests.kafka.runs import KafkaRun, all_answers_are_decided

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(200)]

_CALLING = ("generate", "classify", "instances")
_PROCESSES = 4
_CONCURRENCY = "8"


def staffed(fleet: Fleet) -> None:
    fleet.add("producer", "admit", "finish")
    for _ in range(_PROCESSES):
        fleet.add(*_CALLING)


def run_to_its_end(work: KafkaRun, target: int, *limits: str) -> Ledger:
    """Let a staffed fleet work on a goal. Returns the ledger once nothing is left to decide."""
    with work.fleet() as fleet:
        staffed(fleet)
        work.set_goal(target, *limits)
        with watched(work.folder, work.settings) as watching:
            assert watching.end(120.0).code == 0
        fleet.stop(*fleet.of(*_CALLING))
        return work.ledger_once(all_answers_are_decided)


def test_four_processes_share_one_limit_of_calls_in_flight(kafka: Cluster, tmp_path: Path) -> None:
    with simulated(seed=21, time_to_first_token_s=0.1) as model:
        work = KafkaRun.create(tmp_path, kafka.bootstrap, model, CONCURRENCY=_CONCURRENCY, WINDOW="64")
        ledger = run_to_its_end(work, 120, "--max-in-flight", "10")
        totals = model.simulator.journal.totals
        assert 8 <= totals.most_open <= 10
    check(ledger, 120)


def test_four_processes_share_one_rate_that_can_be_lifted(kafka: Cluster, tmp_path: Path) -> None:
    rate_per_s = 10
    with simulated(seed=22, time_to_first_token_s=0.05) as model:
        work = KafkaRun.create(tmp_path, kafka.bootstrap, model, CONCURRENCY=_CONCURRENCY, WINDOW="64")
        with work.fleet() as fleet:
            staffed(fleet)
            work.set_goal(400, "--rpm", str(60 * rate_per_s))
            eventually(lambda: len(model.requests()) >= 100, 60.0)
            limited = model.requests()
            assert len(limited) / seconds(limited) <= 1.3 * rate_per_s
            work.set_goal(400, "--rpm", "0")
            with watched(tmp_path, work.settings) as watching:
                assert watching.end(60.0).code == 0
            fleet.stop(*fleet.of(*_CALLING))
            ledger = work.ledger_once(all_answers_are_decided)
    check(ledger, 400)


def test_four_processes_share_one_budget_and_end_cleanly(kafka: Cluster, tmp_path: Path) -> None:
    with simulated(seed=23, time_to_first_token_s=0.02) as model:
        work = KafkaRun.create(
            tmp_path,
            kafka.bootstrap,
            model,
            CONCURRENCY=_CONCURRENCY,
            WINDOW="64",
            PRICE_PROMPT="1",
            PRICE_COMPLETION="2",
        )
        ledger = run_to_its_end(work, 10_000, "--budget", "0.2")
        billed = run(tmp_path, "cost", "--json", settings=work.settings)
        totals = model.simulator.journal.totals
    spent = orjson.loads(billed.out)["cost_usd"]
    assert spent == pytest.approx((totals.prompt_tokens + 2 * totals.completion_tokens) / 1e6)
    assert 0.15 <= spent <= 0.2
    check_at_any_moment(ledger)
    assert ledger.tasks


def test_a_paused_fleet_makes_no_call_until_it_is_resumed(kafka: Cluster, tmp_path: Path) -> None:
    with simulated(seed=25, time_to_first_token_s=0.2) as model:
        work = KafkaRun.create(tmp_path, kafka.bootstrap, model, CONCURRENCY=_CONCURRENCY, WINDOW="64")
        with work.fleet() as fleet:
            staffed(fleet)
            work.set_goal(10_000)
            eventually(lambda: len(model.requests()) >= 60, 60.0)
            work.set_goal(10_000, "--pause")
            asked = len(model.wait_until_quiet(3.0))
            told = orjson.loads(run(tmp_path, "status", "--json", settings=work.settings).out)
            assert (told["paused"], told["reached"], told["stalled"]) == (True, False, None)
            target = told["finished"] + 50
            with watched(tmp_path, work.settings) as watching:
                work.set_goal(target, "--resume")
                assert watching.end(120.0).code == 0
            fleet.stop(*fleet.of(*_CALLING))
            ledger = work.ledger_once(all_answers_are_decided)
        assert 60 <= asked < len(model.requests())
    check(ledger, target)


def test_a_fleet_reports_a_refused_key_and_resumes_with_another(kafka: Cluster, tmp_path: Path) -> None:
    key, port = tmp_path / "key", free_port()
    key.write_text("an-old-key")
    with simulated(seed=24, api_keys=("a-new-key",)) as model:
        work = KafkaRun.create(tmp_path, kafka.bootstrap, model, CONCURRENCY="4", LM_API_KEY_FILE=str(key))
        with work.fleet() as fleet:
            fleet.add("producer", "admit", "finish")
            fleet.add(*_CALLING, flags=("--http-port", str(port)))
            work.set_goal(20)
            eventually(lambda: "language model" in fetch(port, "readyz")[1])
            assert fetch(port, "readyz")[0] == 200
            assert fetch(port, "healthz")[0] == 200
            assert 'seedstream_lm_open{endpoint="' in fetch(port, "metrics")[1]
            completions = [entry for entry in model.requests() if entry.status == 401]
            assert 1 <= len(completions) <= 4
            key.write_text("a-new-key")
            with watched(tmp_path, work.settings) as watching:
                assert watching.end(60.0).code == 0
            eventually(lambda: fetch(port, "readyz") == (200, "ok\n"))
            fleet.stop(*fleet.of(*_CALLING))
            ledger = work.ledger_once(all_answers_are_decided)
    check(ledger, 20)


def test_a_worker_is_ready_while_the_model_is_away(kafka: Cluster, tmp_path: Path) -> None:
    port, model_port = free_port(), free_port()
    work = KafkaRun.create(
        tmp_path,
        kafka.bootstrap,
        LM="openai",
        LM_URL=f"http://127.0.0.1:{model_port}/v1",
        MODEL="seedstream-simulator",
        LM_API="completions",
        CONCURRENCY="4",
    )
    with work.fleet() as fleet:
        fleet.add("producer", "admit", "finish")
        fleet.add(*_CALLING, flags=("--http-port", str(port)))
        work.set_goal(10)
        eventually(lambda: 'seedstream_stalled{waiting_for="model"}' in fetch(port, "metrics")[1], 90.0)
        status, text = fetch(port, "readyz")
        assert (status, "the language model takes no calls" in text) == (200, True)
        with (
            start(tmp_path, "simulator", "--port", str(model_port)),
            watched(tmp_path, work.settings) as watching,
        ):
            assert watching.end(90.0).code == 0
        fleet.stop(*fleet.of(*_CALLING))


def seconds(requests: list[Entry]) -> float:
    times = [entry.at_ms for entry in requests]
    return (max(times) - min(times)) / 1000


def two_models(kafka: Cluster, folder: Path, small: Model, large: Model, **table: float) -> KafkaRun:
    """Create a run whose instances are written by another model, with limits in its table."""
    stages = {"instances": {"model": "large", "lm_url": large.simulator.url, **table}}
    tables = orjson.dumps(stages).decode()
    return KafkaRun.create(folder, kafka.bootstrap, small, CONCURRENCY=_CONCURRENCY, WINDOW="64", STAGES=tables)


def test_four_processes_keep_the_limits_of_two_models(kafka: Cluster, tmp_path: Path) -> None:
    with (
        simulated(seed=25, model="small", time_to_first_token_s=0.1) as small,
        simulated(seed=26, model="large", time_to_first_token_s=0.1) as large,
    ):
        work = two_models(kafka, tmp_path, small, large, max_in_flight=5)
        ledger = run_to_its_end(work, 120, "--max-in-flight", "10")
        most = [model.simulator.journal.totals.most_open for model in (small, large)]
        assert 8 <= most[0] <= 10
        assert 4 <= most[1] <= 5
    check(ledger, 120)


def test_four_processes_keep_the_rates_of_two_models(kafka: Cluster, tmp_path: Path) -> None:
    """The run's limit of tokens holds for one model, and the other has its own limit of calls, and none of tokens."""
    tokens_per_s, calls_per_s = 6_000, 5
    with simulated(seed=27, model="small") as small, simulated(seed=28, model="large") as large:
        work = two_models(kafka, tmp_path, small, large, rpm=60 * calls_per_s, tpm=0)
        with work.fleet() as fleet:
            staffed(fleet)
            work.set_goal(400, "--tpm", str(60 * tokens_per_s))
            eventually(lambda: len(large.requests()) >= 60, 90.0)
            slow, paid = completed(large), completed(small)
            fleet.stop(*fleet.posts)
    assert len(slow) / seconds(slow) <= 1.3 * calls_per_s
    assert sum(entry.charged_tokens for entry in paid) / seconds(paid) <= 1.3 * tokens_per_s
    assert len(paid) / seconds(paid) > 1.5 * calls_per_s


def completed(model: Model) -> list[Entry]:
    return [entry for entry in model.requests() if entry.charged_tokens]
