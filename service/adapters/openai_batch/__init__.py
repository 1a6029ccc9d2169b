"""Language models behind OpenAI's batch API: answers by tomorrow, at half the price.

`endpoint` is the port, `questions` what it was asked and has not answered, `memory` what the server holds of this run,
`following` the wait for a batch, `server` the HTTP interface, `verdicts` what an ended batch means for its questions.
Nothing is kept on this machine: whatever happens to this process, the next one finds batches and results on the server.
"""

from service.adapters.openai_batch.endpoint import BatchEndpoint
from service.adapters.openai_batch.options import BatchOptions

__all__ = ["BatchEndpoint", "BatchOptions"]
