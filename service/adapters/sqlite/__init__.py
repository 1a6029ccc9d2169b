"""The embedded broker, for laptops and tests: the semantics of Apache Kafka on one SQLite file in one process.

`broker` implements the port. `engine` assigns offsets and orders writes, `log` holds the partitions in memory, `groups`
the consumer groups, `storage` the SQL.
"""

from service.adapters.sqlite.broker import SqliteBroker
from service.adapters.sqlite.lock import lock_path
from service.adapters.sqlite.storage import Storage

__all__ = ["SqliteBroker", "Storage", "lock_path"]
