"""Input files that were stored and never became a batch, for a process was killed between the two."""

import structlog

from service.adapters.openai_batch.api_client import BatchServer
from service.lm.errors import EndpointRefusedError

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


async def delete_orphans(server: BatchServer, used: set[str], since: float, before: float) -> None:
    """Delete this run's input files that are not used and were created between two moments (Unix time).

    That a server does not list or delete files is nobody's trouble but its own.
    """
    try:
        for stored in await server.files(since):
            if stored.id not in used and stored.created_at < before:
                await server.delete(stored.id)
                logger.info("lm.batch_file_deleted", file=stored.id, name=stored.name)
    except EndpointRefusedError as refusal:
        logger.warning("lm.batch_files_kept", reason=str(refusal))
