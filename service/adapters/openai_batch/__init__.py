"""Language models behind OpenAI's batch API: answers within a day, at half the price.

`endpoint` implements the port. `pending` tracks unanswered questions, `batching` gathers them into batches,
`batch_inventory` indexes the run's batches on the server, and `polling` waits for them. `api_client` is the API over
`http_client`. `outcomes` judges the questions for which an ended batch has no result. Nothing is stored on this
machine: whatever happens to this process, the next one finds batches and results on the server.
"""

from service.adapters.openai_batch.endpoint import BatchEndpoint
from service.adapters.openai_batch.options import BatchOptions

__all__ = ["BatchEndpoint", "BatchOptions"]
