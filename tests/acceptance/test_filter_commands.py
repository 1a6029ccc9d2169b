"""Commands that review the filter: the curve of thresholds, and the neighbours of accepted tasks."""

import json
import re
from pathlib import Path
from typing import Any

from service.messaging.messages import Origin, PooledTask
from tests.acceptance.conftest import FinishedRuns
from tests.acceptance.program import Ended, run_side_by_side, start


def test_refilter_with_a_range_equals_refilter_at_each_threshold(finished_runs: FinishedRuns) -> None:
    curve, table, low, own, high = run_side_by_side(
        finished_runs.folder,
        ("refilter", "--threshold", "0.4..0.9:0.25", "--json"),
        ("refilter", "--threshold", "0.4..0.9:0.25"),
        *(("refilter", "--threshold", alone, "--json") for alone in ("0.4", "0.65", "0.9")),
    )
    facts = _json(curve)
    points = {point["threshold"]: point for point in facts["points"]}
    assert (facts["own_threshold"], list(points)) == (0.7, [0.4, 0.65, 0.7, 0.9])
    for threshold, alone in ((0.4, low), (0.65, own), (0.9, high)):
        judged = _json(alone)
        assert {name: points[threshold][name] for name in judged["judged_again"]} == judged["judged_again"]
    accepted = len(finished_runs.ledger().accepted)
    assert (points[0.7]["accepted"], points[0.7]["change"]) == (accepted, 0)
    assert points[0.4]["change"] == points[0.4]["accepted"] - accepted < 0
    assert points[0.7]["share"] == accepted / points[0.7]["candidates"]
    assert _rows(table) == [
        (
            str(point["threshold"]),
            str(point["candidates"]),
            str(point["accepted"]),
            f"{point['share']:.1%}",
            str(point["rejected"].get("too_similar", 0)),
            "" if point["threshold"] == 0.7 else f"{point['change']:+}",
            "the run's" if point["threshold"] == 0.7 else "",
        )
        for point in facts["points"]
    ]


def test_an_invalid_range_or_a_range_with_into_is_refused(finished_runs: FinishedRuns) -> None:
    reverse, outside, into, undefined, blank = run_side_by_side(
        finished_runs.folder,
        ("refilter", "--threshold", "0.9..0.5"),
        ("refilter", "--threshold", "1.5"),
        ("refilter", "--threshold", "0.5..0.9", "--into", "many"),
        ("refilter", "--threshold", "0.5..0.9", "--run", "nobody"),
        ("refilter", "--block", " "),
    )
    assert {ended.code for ended in (reverse, outside, into, undefined, blank)} == {2}
    assert "--block: expected a word" in blank.err
    assert "'0.9..0.5': it ends before it begins" in reverse.err
    assert "1.5 is not in 0 … 1" in outside.err
    assert "--into: expected one threshold" in into.err
    assert "'nobody'" in undefined.err
    assert not (finished_runs.folder / "runs" / "many.sqlite3").exists()


def test_refilter_judges_by_a_recipe_file(finished_runs: FinishedRuns, tmp_path: Path) -> None:
    folder = finished_runs.copy_to(tmp_path)
    (folder / "own.toml").write_text('extends = "self-instruct"\n[filters]\nrouge_threshold = 0.4\nmin_words = 9\n')
    (folder / "other.toml").write_text('extends = "alpaca"\n')
    by_file, by_options, published, other, made = run_side_by_side(
        folder,
        ("refilter", "--recipe", "own.toml", "--json"),
        ("refilter", "--threshold", "0.4", "--min-words", "9", "--json"),
        ("refilter", "--recipe", "self-instruct", "--json"),
        ("refilter", "--recipe", "other.toml"),
        ("refilter", "--recipe", "own.toml", "--into", "own"),
    )
    assert _json(by_file) == _json(by_options)
    facts = _json(published)
    assert facts["as_it_was"] == facts["judged_again"] != _json(by_file)["judged_again"]
    assert (other.code, made.code) == (2, 0), made.err
    assert "expected a recipe that extends self-instruct" in other.err
    goes_on, differs = run_side_by_side(
        folder,
        ("goal", "--run", "own", "--recipe", "own.toml", "--target", "3"),
        ("goal", "--recipe", "own.toml", "--target", "3"),
    )
    assert (goes_on.code, differs.code) == (0, 2), goes_on.err
    assert "recipe.filters.rouge_threshold: the run has '0.7', asked for '0.4'" in differs.err


def test_neighbours_agrees_with_explain_for_each_accepted_task(finished_runs: FinishedRuns, tmp_path: Path) -> None:
    tasks = [task for task in finished_runs.ledger().all(PooledTask) if task.origin is Origin.MACHINE]
    last, file = tasks[-1], tmp_path / "neighbours.jsonl"
    printed, written, explained = run_side_by_side(
        finished_runs.folder,
        ("neighbours",),
        ("neighbours", "--output", file, "--workers", "1"),
        ("explain", last.id, "--json"),
    )
    assert (printed.code, printed.err, written.code, written.out, written.err) == (0, "", 0, b"", "")
    assert printed.out == file.read_bytes()
    rows = [json.loads(line) for line in printed.lines]
    assert [(row["id"], row["instruction"]) for row in rows] == [(task.id, task.instruction) for task in tasks]
    assert all(len(row["most_similar"]) == 10 for row in rows)
    assert all(max(row["most_similar"].values()) <= 0.7 for row in rows)
    nearest = _json(explained)["nearest"]
    assert rows[-1]["avg_similarity_score"] == nearest["mean_score"]
    assert list(rows[-1]["most_similar"].items()) == [
        (each["instruction"], each["score"]) for each in nearest["most_similar"]
    ]


def test_neighbours_ends_quietly_when_the_pipe_is_closed(finished_runs: FinishedRuns, tmp_path: Path) -> None:
    with start(finished_runs.folder, "neighbours", read_at_most=1) as head:
        ended = head.end()
    assert (ended.code, ended.err) in ((141, ""), (0, ""))  # the pipe may hold the whole output before it closes
    missing = tmp_path / "no" / "where"
    (refused,) = run_side_by_side(finished_runs.folder, ("neighbours", "--output", missing))
    assert (refused.code, str(missing) in refused.err) == (2, True)


def _json(ended: Ended) -> dict[str, Any]:
    assert ended.code == 0, ended.err
    facts: dict[str, Any] = json.loads(ended.out)
    return facts


def _rows(ended: Ended) -> list[tuple[str, ...]]:
    assert ended.code == 0, ended.err
    return [
        tuple(cell.strip() for cell in line.strip("│").split("│"))
        for line in ended.out.decode().splitlines()
        if re.match(r"│ +0\.", line)
    ]
