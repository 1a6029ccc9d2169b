"""Messages of `prompts` and `candidates`."""

from service.messaging.messages.base import NULL, AboutPrompt, Message
from service.messaging.messages.calls import Call, FailedCall, PaidCall
from service.selfinstruct.model_input import ModelInput, schema_of_tasks
from service.selfinstruct.recipe import Form, Recipe
from service.selfinstruct.tasks import Candidate, SeedTask


class Prompt(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A prompt to complete. `seq` counts from 0 without gaps; `demonstrations` are ids of pool tasks, in prompt order.

    `form` is that of the recipe. In form JSON, `text` is the user message and `system` the system message; in form
    text, `system` is the run's own system prompt. `topic` is a topic of the run's subject.
    """

    ce_type = "io.seedstream.prompt.v1"

    id: str
    seq: int
    text: str
    system: str | None = None
    form: Form | None = None
    demonstrations: tuple[str, ...]
    depth: int
    recipe: str
    templates: str
    topic: str | None = None

    def as_input(self, recipe: Recipe) -> ModelInput:
        """Return the prompt as input of the model, with the JSON schema of its reply if the recipe has one."""
        return ModelInput(self.text, self.system or "", schema_of_tasks(recipe))


class CountedPrompt(Message, frozen=True, kw_only=True):
    """The part of a `Prompt` that is counted."""

    ce_type = Prompt.ce_type

    id: str
    seq: int
    topic: str | None = None


class Answer(AboutPrompt, frozen=True, kw_only=True, omit_defaults=True):
    """The complete reply to a prompt, and the candidates parsed from it."""

    ce_type = "io.seedstream.answer.v1"

    demonstrations: tuple[str, ...]
    depth: int
    recipe: str
    templates: str
    call: Call
    candidates: tuple[Candidate, ...]
    topic: str | None = None

    @classmethod
    def of(cls, prompt: Prompt, call: Call, candidates: tuple[Candidate, ...]) -> "Answer":
        """Return the answer to a prompt."""
        return cls(
            prompt_id=prompt.id,
            prompt_seq=prompt.seq,
            demonstrations=prompt.demonstrations,
            depth=prompt.depth,
            recipe=prompt.recipe,
            templates=prompt.templates,
            call=call,
            candidates=candidates,
            topic=prompt.topic,
        )


class PaidAnswer(AboutPrompt, frozen=True, kw_only=True):
    """The part of an `Answer` that a bill needs."""

    ce_type = Answer.ce_type

    call: PaidCall


class FailedPrompt(AboutPrompt, frozen=True, kw_only=True, omit_defaults=True):
    """A prompt whose call failed for good; it gets a decision too, which frees its place in the window."""

    ce_type = "io.seedstream.failed-prompt.v1"

    failure: str
    spent: FailedCall | None = NULL
    topic: str | None = None


class SubmittedSeed(Message, frozen=True, kw_only=True):
    """A human-written task to be added to the pool."""

    ce_type = "io.seedstream.submitted-seed.v1"

    id: str
    seed: SeedTask
