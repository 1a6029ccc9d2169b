"""Topics of a subject: their shares are met by finished tasks, in spite of kills and of topics that yield less."""

import json
from collections import Counter
from pathlib import Path

import pytest

from service.messaging.messages import Answer, ClassifiedInstruction, Decision, FinishedTask, Prompt, TaskInstances
from tests.acceptance.invariants import check
from tests.acceptance.ledger import Ledger, read_ledger
from tests.acceptance.model import simulated
from tests.acceptance.program import run, start

pytestmark = pytest.mark.timeout(600)

SHARES = {"billing": 0.5, "outages": 0.3, "roaming": 0.15, "moving house": 0.05}
FILE = 'about = "support tickets of a telecom"\n' + "".join(
    f'[[topics]]\nname = "{name}"\nshare = {share * 100}\n' for name, share in SHARES.items()
)
# Of the candidates of the other topics, a fifth is refused; of these, three times as many.
HARD = {"hard_words": "topic: billing", "hard_rate": 0.5}


def topics_file(folder: Path, text: str = FILE) -> Path:
    path = folder / "topics.toml"
    path.write_text(text)
    return path


def shares_of(tasks: list[FinishedTask]) -> dict[str | None, float]:
    counts = Counter(task.topic for task in tasks)
    return {topic: count / len(tasks) for topic, count in counts.items()}


def check_topics(ledger: Ledger) -> None:
    """Check that everything that follows from a prompt has its topic."""
    topics = {prompt.id: prompt.topic for prompt in ledger.all(Prompt)}
    assert set(topics.values()) == set(SHARES)
    decided: list[Answer | Decision] = [*ledger.all(Answer), *ledger.all(Decision)]
    assert all(each.topic == topics[each.prompt_id] for each in decided)
    made: list[ClassifiedInstruction | TaskInstances | FinishedTask] = [
        *ledger.all(ClassifiedInstruction),
        *ledger.all(TaskInstances),
        *ledger.tasks,
    ]
    assert all(each.provenance.topic == topics[each.provenance.prompt_id] for each in made)
    assert all(task.topic == task.provenance.topic for task in ledger.tasks)
    for prompt in ledger.all(Prompt):
        assert f"on this topic: {prompt.topic}\n" in prompt.text
        assert "about this subject: support tickets of a telecom\n" in prompt.text


@pytest.mark.kill
def test_two_thousand_tasks_have_their_shares_in_spite_of_kills(tmp_path: Path) -> None:
    target = 2_000
    with simulated(seed=4, **HARD) as model:
        command = ("run", "--target", str(target), "--concurrency", "16", "--about", topics_file(tmp_path))
        for _ in range(3):
            with start(tmp_path, *command, *model.flags) as program:
                program.wait_for_lines(200, 300.0)
                program.kill()
        with start(tmp_path, *command, *model.flags) as program:
            ended = program.end(500.0)
    assert ended.code == 0, ended.err
    assert "beware" not in ended.err
    ledger = read_ledger(tmp_path)
    check(ledger, target)
    check_topics(ledger)
    found = shares_of(ledger.tasks)
    assert {topic: abs(found[topic] - share) < 0.02 for topic, share in SHARES.items()} == dict.fromkeys(SHARES, True)
    rates = {topic: rate_of(ledger, topic) for topic in SHARES}
    assert rates["billing"] > 2 * rates["outages"]


def rate_of(ledger: Ledger, topic: str) -> float:
    """Return the share of the candidates of a topic that were refused."""
    reasons = [
        each.reason for decision in ledger.all(Decision) if decision.topic == topic for each in decision.verdicts
    ]
    return sum(reason is not None for reason in reasons) / len(reasons)


def check_exports(folder: Path, topics: list[str]) -> None:
    """Check that the other formats name the topics too."""
    for form in ("alpaca", "self-instruct"):
        assert run(folder, "export", "--format", form, "--output", f"{form}.json").code == 0
    rows = json.loads((folder / "alpaca.json").read_text())
    assert {row["topic"] for row in rows} == set(topics)
    lines = (folder / "self-instruct.json").read_text().splitlines()
    assert [json.loads(line)["topic"] for line in lines] == topics


def test_commands_show_topics_and_their_shares(tmp_path: Path) -> None:
    file = topics_file(tmp_path)
    one = ("run", "--lm", "simulator", "--target", "40", "--concurrency", "1", "--about", file)
    assert run(tmp_path, *one).code == run(tmp_path, *one, "--run", "again").code == 0
    told = json.loads(run(tmp_path, "status", "--json").out)
    assert told["about"] == "support tickets of a telecom"
    topics = {each["topic"]: each for each in told["topics"]}
    assert {name: each["wanted"] for name, each in topics.items()} == pytest.approx(SHARES)
    assert sum(each["finished"] for each in topics.values()) == 40
    assert sum(each["reached"] for each in topics.values()) == pytest.approx(1)
    assert "outages: " in run(tmp_path, "status").out.decode()
    assert "(30.0% wanted)" in run(tmp_path, "status").out.decode()
    tasks = [json.loads(line) for line in run(tmp_path, "export").lines]
    consumed = [json.loads(line) for line in run(tmp_path, "consume", "--until-end").lines]
    assert [task["topic"] for task in tasks] == [task["topic"] for task in consumed]
    counted = Counter({name: each["finished"] for name, each in topics.items()})
    assert Counter(task["topic"] for task in tasks) == +counted
    check_exports(tmp_path, [task["topic"] for task in tasks])
    explained = json.loads(run(tmp_path, "explain", tasks[7]["id"], "--json").out)
    assert explained["topic"] == tasks[7]["topic"]
    assert f"  {tasks[7]['topic']}\n" in run(tmp_path, "explain", tasks[7]["id"]).out.decode()
    again = read_ledger(tmp_path, "again").tasks
    assert [(task.id, task.topic, task.instruction) for task in again] == [
        (task["id"], task["topic"], task["instruction"]) for task in tasks
    ]


def test_a_topic_without_a_prompt_is_told(tmp_path: Path) -> None:
    shares = "".join(f'[[topics]]\nname = "{name}"\nshare = {share}\n' for name, share in {"a": 96, "b": 4}.items())
    flags = ("--lm", "simulator", "--target", "30", "--concurrency", "1", "--about", topics_file(tmp_path, shares))
    ended = run(tmp_path, "run", *flags)
    assert ended.code == 0, ended.err
    assert "beware: no prompt was for the topics 'b': one prompt gives more tasks than" in ended.err
    assert "a: 30 tasks, 100.0% (96.0% wanted); b: 0 tasks, 0.0% (4.0% wanted); no prompt yet" in ended.err
    assert "(4.0% wanted); no prompt yet" in run(tmp_path, "status").out.decode()


def test_a_topic_without_yield_does_not_hang_the_run(tmp_path: Path) -> None:
    with simulated(seed=5, hard_words="topic: roaming", hard_rate=1.0) as model:
        ended = run(tmp_path, "run", "--target", "150", "--about", topics_file(tmp_path), *model.flags)
    assert ended.code == 0, ended.err
    assert "topic.set_aside" in ended.err
    assert "beware: 0 tasks of topic 'roaming', 0.0% of all, and 15.0% is wanted" in ended.err
    told = {each["topic"]: each for each in json.loads(run(tmp_path, "status", "--json").out)["topics"]}
    assert told["roaming"]["finished"] == 0
    assert told["roaming"]["fruitless"] >= 10
    shown = " ".join(run(tmp_path, "status").out.decode().replace("│", " ").split())
    assert f"{told['roaming']['fruitless']} prompts in a row without an accepted task" in shown
    others = 1 - SHARES["roaming"]
    assert told["billing"]["reached"] == pytest.approx(SHARES["billing"] / others, abs=0.1)


@pytest.mark.parametrize("flags", [("--lm-api", "chat"), ("--recipe", "alpaca")], ids=["chat", "alpaca"])
def test_other_forms_and_recipes_have_topics_too(flags: tuple[str, ...], tmp_path: Path) -> None:
    command = ("run", "--lm", "simulator", "--target", "60", *flags)
    ended = run(tmp_path, *command, "--about", topics_file(tmp_path), "--system-prompt", "You know {{about}}.")
    assert ended.code == 0, ended.err
    ledger = read_ledger(tmp_path)
    assert {"billing", "outages"} <= {task.topic for task in ledger.tasks} <= set(SHARES)
    prompts = ledger.all(Prompt)
    assert all((each.system or "").startswith("You know support tickets of a telecom.") for each in prompts)


def test_bad_subjects_are_refused_before_a_run_exists(tmp_path: Path) -> None:
    file = topics_file(tmp_path, FILE.replace("share = 50.0", "share = 0"))
    for command in ("run", "check", "goal", "preview"):
        flags: tuple[str, ...] = () if command == "goal" else ("--lm", "simulator")
        ended = run(tmp_path, command, *flags, "--about", file)
        assert ended.code == 2
        assert "topic 1 (billing): expected a share above 0, got 0" in ended.err
    assert not (tmp_path / "runs").exists()


def test_a_subject_that_reaches_nowhere_is_told_before_the_run(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("instructions", "classification", "instances_generation", "instances_classification"):
        bundled = Path(__file__).parents[2] / "service" / "resources" / "templates" / f"{name}.txt"
        lines = [
            line for line in bundled.read_text().splitlines() if "{{about}}" not in line and "{{topic}}" not in line
        ]
        (mine / f"{name}.txt").write_text("\n".join(lines))
    flags: tuple[str | Path, ...] = ("--lm", "simulator", "--about", topics_file(tmp_path), "--templates", mine)
    told = "beware: the model is never told what the tasks are about: no template in use has {{about}}"
    assert told in run(tmp_path, "run", "--target", "5", *flags).err
    assert told in run(tmp_path, "check", "--run", "other", *flags).out.decode()


def test_a_run_goes_on_with_its_subject_or_none(tmp_path: Path) -> None:
    command = ("run", "--lm", "simulator", "--target")
    assert run(tmp_path, *command, "5", "--about", "rivers").code == 0
    assert run(tmp_path, *command, "8").code == 0
    refused = run(tmp_path, *command, "10", "--about", "lakes")
    assert refused.code == 2
    assert "about: the run has 'rivers', asked for 'lakes'" in refused.err
    assert all("about this subject: rivers\n" in prompt.text for prompt in read_ledger(tmp_path).all(Prompt))


def test_a_run_that_is_judged_again_keeps_its_topics(tmp_path: Path) -> None:
    command = ("run", "--lm", "simulator", "--target", "30", "--about", topics_file(tmp_path))
    assert run(tmp_path, *command).code == 0
    assert run(tmp_path, "refilter", "--threshold", "0.9", "--into", "again").code == 0
    assert run(tmp_path, "run", "--lm", "simulator", "--run", "again").code == 0
    before, after = read_ledger(tmp_path), read_ledger(tmp_path, "again")
    topics = {prompt.id: prompt.topic for prompt in before.all(Prompt)}
    assert {prompt.id: prompt.topic for prompt in after.all(Prompt)} == topics
    assert len(after.tasks) == 30
    assert all(task.topic == topics[task.provenance.prompt_id] for task in after.tasks)
    assert all(decision.topic == topics[decision.prompt_id] for decision in after.all(Decision))
