"""The requests that a test has sent to Kafka, as the fixture `requests` counts them."""

from collections import Counter


def count_of(requests: Counter[str], kind: str) -> int:
    return sum(count for name, count in requests.items() if kind in name)
