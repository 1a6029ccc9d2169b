"""Results of a batch, read like live responses. Pure.

There is one difference: a line with a transient failure failed while the server processed the batch at its own pace,
perhaps hours ago. The failure says nothing about the server's capacity or availability now, so it counts as aborted.
"""

from datetime import datetime

from service.adapters.openai.error_body import read_error_body, shown
from service.adapters.openai.error_response import Refusal, refusal_of
from service.adapters.openai.response import Asked, Reading, read_completion
from service.adapters.openai_batch.jsonl import Result
from service.lm.errors import AttemptFailedError, Failing, LanguageModelError


def read_answer(result: Result, asked: Asked, now: datetime) -> Reading | Refusal:
    """Return the completion in a result, or the refusal of the model's server.

    Raises:
        AttemptFailedError: the request was not executed, or the response is no completion.
        CallFailedError: the server would give the same response again, which has no usable text.
    """
    if result.is_answer:
        return read_completion(result.body, asked)
    if result.status is not None:
        return refusal_of(asked.url, result.status, {}, result.body, asked.secrets, now)
    words = shown(read_error_body(result.body).message, asked.secrets)
    raise AttemptFailedError(Failing.ABORTED, f'{asked.url} did not ask the model ("{words}").')


def refused(refusal: Refusal, hint: str) -> LanguageModelError:
    """Return the exception for a line with a status other than 200; transient failures count as aborted."""
    error = refusal.as_error(hint)
    if isinstance(error, AttemptFailedError):
        return AttemptFailedError(Failing.ABORTED, str(error), usage=error.usage)
    return error
