"""A made run: facts, tasks, charts and stories of the shape that the REST API answers with."""

import itertools
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

VERBS = ("Write", "Explain", "Translate", "Summarize", "Classify", "List", "Compare", "Rewrite", "Find", "Suggest")
THINGS = ("a poem about rain", "the rules of chess", "a letter to a landlord", "three uses of vinegar", "this review")
START_MS = 1_790_000_000_000
HOSTILE = (
    '<script>document.title="broken"</script><img src=x onerror="document.title=\'broken\'">',
    "</title></textarea></script><svg onload=alert(1)><a href='javascript:alert(1)'>x</a>",
    "javascript:alert(document.cookie)",
    "\u202egnitirw desreveR\u202c and \u2066isolated\u2069, \u200bunseen",
    "NUL \x00 and escape \x1b[31m red \x07 bell",
    "Z\u0351\u036b\u0343\u036a\u0302\u036b" * 60,
    "\u0627\u0643\u062a\u0628 \u0642\u0635\u064a\u062f\u0629 \u0639\u0646 \u0627\u0644\u0645\u0637\u0631",
    "one line without a space " + "x" * 1_000_000,
    "lone \ud800 surrogate",
    "{{constructor.constructor('alert(1)')()}} ${alert(1)} <!-- --> ]]>",
)


def task(number: int, instruction: str | None = None, output: str = "Here is the answer.") -> dict[str, Any]:
    """Return a finished task, as on the log."""
    chance = random.Random(number)
    return {
        "task_seq": number,
        "id": f"m-{number}-0",
        "instruction": instruction or f"{chance.choice(VERBS)} {chance.choice(THINGS)}, number {number}.",
        "is_classification": chance.random() < 0.3,
        "instances": [{"input": "" if number % 2 else "Some input.", "output": output}],
        "pool_seq": 175 + number,
        "provenance": {
            "prompt_id": f"p-{number}",
            "parents": ["seed-1", "seed-2"],
            "depth": 1 + number % 3,
            "recipe": "abc",
            "templates": "def",
            "model": "test-model",
        },
    }


@dataclass
class MadeRun:
    """A run in memory. Tests add tasks, and change facts."""

    name: str = "first"
    tasks: list[dict[str, Any]] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)
    goal: dict[str, Any] = field(default_factory=lambda: {"target": 2_000, "budget_usd": None, "paused": False})
    patches: list[dict[str, Any]] = field(default_factory=list)
    nearest_ranges: list[list[int]] = field(default_factory=lambda: [[0, 5], [8, 12]])

    def add(self, count: int = 1, instruction: str | None = None) -> None:
        """Finish tasks."""
        self.tasks += [task(len(self.tasks) + index, instruction) for index in range(count)]

    def facts(self) -> dict[str, Any]:
        """Return the run at a glance."""
        finished = len(self.tasks)
        found: dict[str, Any] = {
            "run": self.name,
            "recipe": {"name": "self-instruct", "form": "text", "chat_model": False, "digest": "abc"},
            "topics": [{"topic": "billing", "wanted": 0.5, "finished": 3}],
            "target": self.goal["target"],
            "reached": False,
            "paused": self.goal["paused"],
            "ending": None,
            "finished": finished,
            "classification": finished // 3,
            "instances": finished,
            "pool": {"size": 175 + finished * 2, "human": 175, "machine": finished * 2},
            "prompts": {"issued": finished, "decided": finished, "open": 4, "failed": 0},
            "candidates": {
                "judged": finished * 3 + 1,
                "accepted": finished * 2,
                "acceptance": 0.6431,
                "rejected": {"too_similar": finished, "too_short": finished // 9, "blocked_word": finished // 12},
            },
            "dropped": {},
            "pending": 12,
            "cost_usd": round(finished * 0.00132, 6),
            "known_cost_usd": round(finished * 0.00132, 6),
            "per_finished_usd": 0.00132,
            "budget_usd": self.goal["budget_usd"],
            "pace": {"per_minute": 118.4, "left_s": 462.0},
            "lag": {"generate": 18, "admit": 0, "classify": 7, "instances": 31, "finish": 0},
            "at_work": {
                role: {"active": ["a"], "standing_by": ["b"] if role == "admit" else []}
                for role in ("producer", "generate", "admit", "classify", "instances", "finish")
            },
            "stalled": None,
            "state": "running",
            "command": None,
            "model": [{"name": "test-model", "limit": 16, "in_flight": 14, "waiting": 0, "health": "answers"}],
            "as_of": datetime.now(UTC).isoformat(),
        }
        return found | self.changes

    def page(self, newest: bool, text: str, start: int, limit: int) -> dict[str, Any]:  # noqa: FBT001
        """Return a page of tasks that contain a text."""
        found = [each for each in self.tasks if text.lower() in each["instruction"].lower()]
        ordered = found[::-1] if newest else found
        shown = ordered[start : start + limit]
        entries = [
            {
                "id": f"0-{each['task_seq'] + 1}",
                "finished_at": datetime.fromtimestamp((START_MS + each["task_seq"] * 500) / 1000, UTC).isoformat(),
                "distance": None if each["task_seq"] % 4 else 0.41,
                "task": each,
            }
            for each in shown
        ]
        following = str(start + limit) if start + limit < len(ordered) else None
        return {"tasks": entries, "next": following, "total": len(ordered)}

    def chart(self, name: str) -> object:
        """Return the values of a chart."""
        points = [(START_MS + step * 60_000, step * 150) for step in range(1, 60)]
        return {
            "rejections": [
                {"at_ms": at, "reason": reason, "rejected": int(judged * part)}
                for (at, judged), (reason, part) in itertools.product(
                    points,
                    (("too_similar", 0.24), ("too_short", 0.05), ("blocked_word", 0.03), ("truncated", 0.02)),
                )
            ],
            "acceptance": [
                {"at_ms": at, "judged": judged, "share": 0.9 - 0.3 * judged / 9000 + random.Random(at).random() / 20}
                for at, judged in points
            ],
            "pool": [{"at_ms": at, "judged": judged, "size": int(175 + judged**0.94)} for at, judged in points],
            "cost": [
                {"at_ms": at, "finished": judged // 2, "cost_usd": judged * 0.0007, "unpriced": 0}
                for at, judged in points
            ],
            "diversity": {
                "instructions": 1000,
                "seed_scores": [
                    {"low": step / 20, "high": (step + 1) / 20, "count": int(3000 * (0.5**step) * step)}
                    for step in range(20)
                ],
                "words": [
                    {"low": step * 2, "high": step * 2 + 2, "count": 40 * step * (20 - step)} for step in range(20)
                ],
                "first_words": [{"word": verb.lower(), "count": 90 - 8 * at} for at, verb in enumerate(VERBS)],
                "bigrams": 5000,
                "distinct_bigrams": 0.61,
            },
        }[name]

    def story(self, name: str) -> dict[str, Any]:
        """Return the story of a task."""
        number = int(name.split("-")[1])
        own = self.tasks[number]
        seeds = [
            {"id": f"seed-{at}", "origin": "human", "depth": 0, "instruction": f"Seed task number {at}."}
            for at in range(1, 7)
        ]
        parents = [
            {"id": f"m-{at}-1", "origin": "machine", "depth": 1, "instruction": f"Machine task number {at}."}
            for at in range(2)
        ]
        children = [
            {"id": f"m-{at}-2", "origin": "machine", "depth": 2, "instruction": f"Later task number {at}."}
            for at in range(20)
        ]
        sibling = {"nearest": None, "nearest_instruction": None, "score": None, "decided_ms": START_MS}
        nearest = f"{own['instruction'][:2000]} Or so."
        return {
            "id": name,
            "state": "finished",
            **{key: own[key] for key in ("instruction", "instances", "is_classification")},
            "origin": "machine",
            "depth": 2,
            "topic": "billing",
            "reason": None,
            "dropped": None,
            "failure": None,
            "recipe": "abc",
            "templates": "def",
            "prompt_id": f"p-{number}",
            "system": None,
            "prompt": "Come up with a series of tasks:\n\n" + own["instruction"] + "\n2." * 40,
            "completion": own["instruction"] + "\n" + own["instances"][0]["output"] * 200,
            "siblings": [
                {"id": name, "instruction": own["instruction"], "reason": None, **sibling},
                {
                    "id": f"m-{number}-1",
                    "instruction": "Write a poem about rain.",
                    "reason": "too_similar",
                    **sibling,
                    "nearest": "seed-1",
                    "nearest_instruction": "Write a poem about the rain.",
                    "score": 0.83,
                },
            ],
            "nearest": {
                "id": "seed-1",
                "instruction": nearest,
                "score": 0.4123,
                "own": self.nearest_ranges,
                "nearest": self.nearest_ranges,
            },
            "nearest_in_meaning": None,
            "ancestors": {
                "nodes": seeds + parents,
                "edges": [
                    *({"parent": each["id"], "child": name} for each in seeds[:4] + parents),
                    *({"parent": each["id"], "child": "m-0-1"} for each in seeds[2:]),
                    *({"parent": each["id"], "child": "m-1-1"} for each in seeds[:3]),
                ],
                "is_whole": True,
            },
            "descendants": {
                "nodes": children,
                "edges": [{"parent": name, "child": each["id"]} for each in children],
                "is_whole": False,
            },
            "calls": {
                stage: {
                    "model": "test-model",
                    "completion": "",
                    "finish_reason": "stop",
                    "usage": {"prompt_tokens": 812, "completion_tokens": 96},
                    "attempts": 1,
                    "cost_usd": 0.00041,
                }
                for stage in ("generate", "classify", "instances")
            },
            "failed_calls": {},
            "cost_usd": 0.00123,
            "finished_ms": START_MS,
        }
