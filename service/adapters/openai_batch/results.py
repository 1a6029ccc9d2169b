"""A result of a batch, read as if the server had been asked live. Pure.

With one difference: a line that may be tried again failed while the server worked off the batch at its own pace, for
hours perhaps. That says nothing of how much it can take or whether it is there now, so it counts as aborted.
"""

from datetime import datetime

from service.adapters.openai.error_body import read_saying, shown
from service.adapters.openai.error_response import Refusal, refusal_of
from service.adapters.openai.response import Asked, Reading, read_completion
from service.adapters.openai_batch.jsonl import Result
from service.lm.errors import AttemptFailedError, Failing, LanguageModelError


def read_answer(result: Result, asked: Asked, now: datetime) -> Reading | Refusal:
    """Return the completion in a result, or what the model's server said instead.

    Raises:
        AttemptFailedError: it was not asked, or its answer is no completion.
        CallFailedError: the server would answer the same again, without a text to use.
    """
    if result.is_answer:
        return read_completion(result.body, asked)
    if result.status is not None:
        return refusal_of(asked.url, result.status, {}, result.body, asked.secrets, now)
    words = shown(read_saying(result.body).message, asked.secrets)
    raise AttemptFailedError(Failing.ABORTED, f'{asked.url} did not ask the model ("{words}").')


def refused(refusal: Refusal, hint: str) -> LanguageModelError:
    """Return the error that a line with another status than 200 amounts to."""
    error = refusal.as_error(hint)
    if isinstance(error, AttemptFailedError):
        return AttemptFailedError(Failing.ABORTED, str(error), usage=error.usage)
    return error
