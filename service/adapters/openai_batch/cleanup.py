"""Cleanup of input files without a batch: their process was killed between the upload and the batch."""

import structlog

from service.adapters.openai_batch.api_client import BatchServer
from service.lm.errors import EndpointRefusedError

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


async def delete_orphans(server: BatchServer, used: set[str], since: float, before: float) -> None:
    """Delete this run's input files that no batch uses and that were created between two moments (Unix time).

    If the server does not list or delete files, its refusal is logged and not raised.
    """
    try:
        for stored in await server.files(since):
            if stored.id not in used and stored.created_at < before:
                await server.delete(stored.id)
                logger.info("lm.batch_file_deleted", file=stored.id, name=stored.name)
    except EndpointRefusedError as refusal:
        logger.warning("lm.batch_files_kept", reason=str(refusal))
