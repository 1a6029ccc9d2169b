"""The embedded broker, for laptops and tests: the semantics of Apache Kafka on one SQLite file in one process.

`broker` implements the port. `engine` assigns offsets and orders writes, `log` holds the partitions in memory, `groups`
the consumer groups, `storage` the SQL, `checksums` what tells damage. `salvage` copies what is whole of a damaged file.
"""

from service.adapters.sqlite.broker import SqliteBroker
from service.adapters.sqlite.lock import lock_path
from service.adapters.sqlite.salvage import Lost, copy_whole_records
from service.adapters.sqlite.storage import Storage

__all__ = ["Lost", "SqliteBroker", "Storage", "copy_whole_records", "lock_path"]
