"""A recipe: every parameter of Self-Instruct, in one frozen object.

Two recipes are published: `SELF_INSTRUCT` (Wang et al. 2023, arXiv:2212.10560, and its code) and `ALPACA` (Taori et al.
2023 and its code). A run records the hash of its recipe; a changed parameter makes another recipe.
"""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import lru_cache, reduce
from typing import Any, Literal

from service.selfinstruct.steps import Step


class RecipeName(StrEnum):
    """The two published procedures."""

    SELF_INSTRUCT = "self-instruct"
    ALPACA = "alpaca"


class Form(StrEnum):
    """The form of prompts and replies: the papers' running text, or JSON, for which chat models are trained."""

    TEXT = "text"
    JSON = "json"


class Language(StrEnum):
    """The language that the filters are made for: English, as in the papers, or any (`unicode_words`)."""

    EN = "en"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Sampling:
    """Decoding parameters of one kind of call, under OpenAI's names.

    `ban_end_of_text` forbids the end-of-text token if its id on the server is known (Alpaca).
    """

    temperature: float
    top_p: float
    max_tokens: int
    stop: tuple[str, ...]
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    ban_end_of_text: bool = False


@dataclass(frozen=True, slots=True)
class Filters:
    """Limits for candidates. A ROUGE-L F-measure strictly above `rouge_threshold` rejects a candidate.

    `language` decides how words are counted, and compared by ROUGE-L. `allow_non_ascii` accepts instructions that begin
    with a character outside ASCII.
    """

    min_words: int
    max_words: int
    blocked_words: tuple[str, ...]
    blocked_openings: tuple[str, ...]
    rouge_threshold: float
    allow_empty_output: bool = False
    language: Language = Language.EN
    allow_non_ascii: bool = False


@dataclass(frozen=True, slots=True)
class SemanticFilter:
    """Comparison of meanings: the model of sentence embeddings, and the cosine above which a candidate is rejected.

    Without a threshold (0 … 1, exclusive), the nearest task is recorded and nothing is rejected.
    """

    model: str = "all-MiniLM-L6-v2"
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class StepForm:
    """How one step asks: the form of prompts and replies, and whether a chat model replies."""

    form: Form
    chat_model: bool


@dataclass(frozen=True, slots=True)
class LaterForms:
    """Forms of the steps after the first that ask otherwise than the first; None: as the first."""

    classification: StepForm | None = None
    instances: StepForm | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """Every parameter of a run.

    `human_demonstrations` and `machine_demonstrations` are the numbers of tasks shown in a prompt; human tasks fill the
    machine's share while there are too few machine tasks. `classification_prompts` is the share of prompts that show
    only classification seeds. `capitalize` lower-cases all but the first letter of a candidate, as the original does.
    `semantic`, `form` and `chat_model` are part of neither paper. `chat_model` says that a chat model replies: its
    text is parsed without a fixed form, and refusals and chatter are rejected. `tasks_per_reply` is the number of tasks
    that a prompt asks for; None: as published. `form` and `chat_model` are those of the first step, and of the others
    unless `later_forms` has theirs.
    """

    name: RecipeName
    human_demonstrations: int
    machine_demonstrations: int
    classification_prompts: float
    capitalize: bool
    filters: Filters
    instruction_sampling: Sampling
    classification_sampling: Sampling | None
    generation_instances_sampling: Sampling | None
    classification_instances_sampling: Sampling | None
    max_instances: int
    semantic: SemanticFilter | None = None
    form: Form = Form.TEXT
    chat_model: bool = False
    tasks_per_reply: int | None = None
    later_forms: LaterForms | None = None

    @property
    def has_classification_step(self) -> bool:
        """Whether further calls classify accepted instructions and write their instances (False: Alpaca)."""
        return self.classification_sampling is not None

    @property
    def most_tasks(self) -> int:
        """The most tasks that a reply holds."""
        return self.tasks_per_reply or TASKS_PER_REPLY[self.name]

    @property
    def steps(self) -> tuple[Step, ...]:
        """Steps of this recipe that call the model, in their order."""
        return tuple(Step) if self.has_classification_step else (Step.INSTRUCTIONS,)

    def of(self, step: Step) -> "Recipe":
        """Return this recipe as a step has it: with the step's form for all steps."""
        if self.later_forms is None:
            return self
        own = self.step_forms[step]
        return replace(self, form=own.form, chat_model=own.chat_model, later_forms=None)

    @property
    def step_forms(self) -> dict[Step, StepForm]:
        """Form of each step."""
        later, first = self.later_forms or LaterForms(), StepForm(self.form, self.chat_model)
        return {
            Step.INSTRUCTIONS: first,
            Step.CLASSIFICATION: later.classification or first,
            Step.INSTANCES: later.instances or first,
        }

    @property
    def forms(self) -> frozenset[Form]:
        """Forms of all steps."""
        return frozenset(self.of(step).form for step in self.steps)

    @property
    def api(self) -> Literal["chat", "completions"]:
        """The interface that the prompts are written for."""
        return "chat" if self.chat_model else "completions"

    @property
    def title(self) -> str:
        """Display name: recipe, form, whether it is for chat models, for any language; other forms of later steps."""
        language = "" if self.filters.language is Language.EN else f", language {self.filters.language.value}"
        others = [step for step in self.steps if self.of(step).way != self.way]
        return f"{self.name.value}, form {self.way}{language}" + "".join(
            f"; {step}: {self.of(step).way}" for step in others
        )

    @property
    def way(self) -> str:
        """Form of the first step in words."""
        return f"{self.form.value}{' for chat models' if self.chat_model else ''}"

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any parameter; parameters added later count only if set."""
        return _digest(self)

    def with_threshold(self, rouge_threshold: float) -> "Recipe":
        """Return this recipe with another ROUGE-L threshold (0 … 1)."""
        return replace(self, filters=replace(self.filters, rouge_threshold=rouge_threshold))


# The most tasks of a reply to the published prompts: numbers 9 to 15, and 4 to 20.
TASKS_PER_REPLY = {RecipeName.SELF_INSTRUCT: 7, RecipeName.ALPACA: 17}

# Parameters that were added after the first runs, and their values in those runs; a dot leads into a nested table.
# Each new one has a value here that is empty, or is left out of records while it has this value (`without_unset`).
_ADDED_LATER: dict[str, Any] = {
    "semantic": None,
    "form": Form.TEXT,
    "chat_model": False,
    "tasks_per_reply": None,
    "later_forms": None,
    "filters.language": Language.EN,
    "filters.allow_non_ascii": False,
}
# Those of them that have always been written to records.
_ALWAYS_WRITTEN = frozenset({"semantic", "form", "chat_model"})


@lru_cache(maxsize=16)
def _digest(recipe: Recipe) -> str:
    knobs = asdict(recipe)
    _leave_out(knobs, _ADDED_LATER)
    canonical = json.dumps(knobs, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def without_unset(knobs: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe's fields as a record has them: without parameters of later versions that are not set."""
    kept = copy.deepcopy(knobs)
    _leave_out(kept, {name: value for name, value in _ADDED_LATER.items() if name not in _ALWAYS_WRITTEN})
    return kept


def _leave_out(knobs: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Delete the fields that have these values."""
    for path, value in values.items():
        *tables, name = path.split(".")
        table = reduce(dict.__getitem__, tables, knobs)
        if table[name] == value:
            del table[name]


# Words for things that a language model cannot see or make (both originals).
_UNSEEN = (
    "image",
    "images",
    "graph",
    "graphs",
    "picture",
    "pictures",
    "file",
    "files",
    "map",
    "maps",
    "draw",
    "plot",
)
_BLOCKED_WORDS = (*_UNSEEN, "go to")
_ALPACA_BLOCKED_WORDS = (*_BLOCKED_WORDS, "video", "audio", "music", "flowchart", "diagram")

_FILTERS = Filters(
    min_words=4,
    max_words=150,
    blocked_words=_BLOCKED_WORDS,
    blocked_openings=("Write a program",),
    rouge_threshold=0.7,
)

SELF_INSTRUCT = Recipe(
    name=RecipeName.SELF_INSTRUCT,
    human_demonstrations=6,
    machine_demonstrations=2,
    classification_prompts=0.0,
    capitalize=True,
    filters=_FILTERS,
    instruction_sampling=Sampling(
        temperature=0.7,
        top_p=0.5,
        max_tokens=1024,
        stop=("\n\n", "\n16", "16.", "16 ."),
        presence_penalty=2.0,
    ),
    classification_sampling=Sampling(temperature=0.0, top_p=0.0, max_tokens=3, stop=("\n", "Task")),
    generation_instances_sampling=Sampling(
        temperature=0.0, top_p=0.0, max_tokens=350, stop=("Example 6", "Task:"), presence_penalty=1.5
    ),
    classification_instances_sampling=Sampling(
        temperature=0.0, top_p=0.0, max_tokens=300, stop=("Example 6", "Task:"), presence_penalty=1.5
    ),
    max_instances=5,
)

ALPACA = Recipe(
    name=RecipeName.ALPACA,
    human_demonstrations=3,
    machine_demonstrations=0,
    classification_prompts=0.0,
    capitalize=False,
    filters=replace(_FILTERS, blocked_words=_ALPACA_BLOCKED_WORDS),
    instruction_sampling=Sampling(
        temperature=1.0, top_p=1.0, max_tokens=3072, stop=("\n20", "20."), ban_end_of_text=True
    ),
    classification_sampling=None,
    generation_instances_sampling=None,
    classification_instances_sampling=None,
    max_instances=1,
)

RECIPES = {recipe.name: recipe for recipe in (SELF_INSTRUCT, ALPACA)}

# Chat models stop by themselves, put blank lines between tasks, write numbers in them, and say more than "Yes". The
# papers' stop sequences and limit of three tokens would cut their replies. The remaining stop sequences match the
# beginning of a sixteenth item or a sixth example.
_CHAT_STOPS = {RecipeName.SELF_INSTRUCT: ("\n16. ",), RecipeName.ALPACA: ()}
_CHAT_INSTANCE_STOPS = ("\nExample 6",)
_CHAT_CLASSIFICATION = Sampling(temperature=0.0, top_p=0.0, max_tokens=32, stop=())

# No stop sequences and no penalties: stop sequences would cut JSON, and penalties would suppress its punctuation.
_JSON_CLASSIFICATION = Sampling(temperature=0.0, top_p=0.0, max_tokens=64, stop=())
_JSON_INSTANCES = Sampling(temperature=0.0, top_p=0.0, max_tokens=1024, stop=())


def recipe_for(name: RecipeName, form: Form = Form.TEXT, *, chat_model: bool = False) -> Recipe:
    """Return a published recipe in a form. In the form text and without `chat_model`, it is the paper's own."""
    recipe = RECIPES[name]
    if form is Form.JSON:
        return _as_json(recipe, chat_model=chat_model)
    return _for_chat(recipe) if chat_model else recipe


def recipe_in(name: RecipeName, forms: Mapping[Step, StepForm]) -> Recipe:
    """Return a published recipe with a form for each step."""
    of_step = {step: recipe_for(name, own.form, chat_model=own.chat_model) for step, own in forms.items()}
    first = of_step[Step.INSTRUCTIONS]
    if not first.has_classification_step or len(set(forms.values())) == 1:
        return first
    other = {step: own for step, own in forms.items() if own != forms[Step.INSTRUCTIONS]}
    written = of_step[Step.INSTANCES]
    return replace(
        first,
        classification_sampling=of_step[Step.CLASSIFICATION].classification_sampling,
        generation_instances_sampling=written.generation_instances_sampling,
        classification_instances_sampling=written.classification_instances_sampling,
        later_forms=LaterForms(other.get(Step.CLASSIFICATION), other.get(Step.INSTANCES)),
    )


def _for_chat(recipe: Recipe) -> Recipe:
    return replace(
        recipe,
        chat_model=True,
        instruction_sampling=replace(recipe.instruction_sampling, stop=_CHAT_STOPS[recipe.name]),
        classification_sampling=_CHAT_CLASSIFICATION if recipe.has_classification_step else None,
        generation_instances_sampling=_with_chat_stops(recipe.generation_instances_sampling),
        classification_instances_sampling=_with_chat_stops(recipe.classification_instances_sampling),
    )


def _with_chat_stops(sampling: Sampling | None) -> Sampling | None:
    return None if sampling is None else replace(sampling, stop=_CHAT_INSTANCE_STOPS)


def _as_json(recipe: Recipe, *, chat_model: bool) -> Recipe:
    instructions = Sampling(temperature=1.0, top_p=1.0, max_tokens=recipe.instruction_sampling.max_tokens, stop=())
    instances = _JSON_INSTANCES if recipe.has_classification_step else None
    return replace(
        recipe,
        form=Form.JSON,
        chat_model=chat_model,
        capitalize=False,
        instruction_sampling=instructions,
        classification_sampling=_JSON_CLASSIFICATION if recipe.has_classification_step else None,
        generation_instances_sampling=instances,
        classification_instances_sampling=instances,
    )
