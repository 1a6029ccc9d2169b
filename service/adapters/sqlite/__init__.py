"""The embedded broker: one SQLite file, one process, the semantics of Apache Kafka; for a laptop and for tests.

`broker` is the port, `log` the partitions in memory, `groups` the consumer groups, `storage` the SQL.
"""

from service.adapters.sqlite.broker import SqliteBroker
from service.adapters.sqlite.storage import Storage

__all__ = ["SqliteBroker", "Storage"]
