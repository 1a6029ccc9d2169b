"""The broker port on Apache Kafka 3.7 … 4.x, with aiokafka 0.14."""

from service.adapters.kafka.broker import KafkaBroker
from service.adapters.kafka.options import KafkaOptions, Security
from service.adapters.kafka.topics import REPLICATION, TopicState, configs_of

__all__ = ["REPLICATION", "KafkaBroker", "KafkaOptions", "Security", "TopicState", "configs_of"]
