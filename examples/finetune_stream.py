# ruff: noqa: INP001 - a script, not a package
"""Feed a training loop from the live stream: one row for each instance of a task, while the run still writes tasks.

    python examples/finetune_stream.py --run default --until-end
    python examples/finetune_stream.py --broker kafka://localhost:9092 --group trainers

`rows` is a plain iterator, so a trainer that takes any iterator can use it. With Hugging Face's datasets:

    dataset = datasets.IterableDataset.from_generator(rows, gen_kwargs={"run": "default", "until_end": True})

With PyTorch (a sketch: PyTorch is no dependency of this project, so no test has run it), the workers of a loader share
the stream through a group on Kafka. Each worker opens it for itself:

    class LiveTasks(torch.utils.data.IterableDataset):
        def __iter__(self):
            return rows(broker="kafka://localhost:9092", group="trainers")

    loader = torch.utils.data.DataLoader(LiveTasks(), batch_size=8, num_workers=4)

A group resumes after the tasks whose rows have been taken. Rows in the loader's own queue at a crash are not delivered
again. To start from the beginning, use a new group name.
"""

import argparse
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from itertools import islice
from typing import TypedDict

from anyio.from_thread import start_blocking_portal

from service.client import open_tasks

_AT_ONCE = 64


class Row(TypedDict):
    """One example to train on."""

    instruction: str
    input: str
    output: str


def rows(
    broker: str | None = None, run: str | None = None, group: str | None = None, *, until_end: bool = False
) -> Generator[Row, None, None]:
    """Yield rows as tasks are finished. A thread reads the stream, at most a few hundred tasks ahead.

    Closing the iterator closes the stream.
    """
    stream = open_tasks(broker, run, group=group, until_end=until_end, auto_commit=group is not None)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(stream) as tasks:
        while deliveries := portal.call(tasks.take, _AT_ONCE):
            for task in (delivery.task for delivery in deliveries):
                for instance in task.instances:
                    yield Row(instruction=task.instruction, input=instance.input, output=instance.output)


def batches(source: Iterator[Row], size: int) -> Iterator[list[Row]]:
    """Yield rows in batches of `size`. The last batch may be smaller."""
    while batch := list(islice(source, size)):
        yield batch


def main() -> None:
    """Print the batches that a trainer gets."""
    parser = argparse.ArgumentParser(description="Print batches of the live stream of finished tasks.")
    parser.add_argument("--broker", help="sqlite:DIR or kafka://HOST:PORT; as Seedstream's settings say, without")
    parser.add_argument("--run", help="the run's name")
    parser.add_argument("--group", help="share the stream with others of this name")
    parser.add_argument("--until-end", action="store_true", help="stop where the stream ends now")
    parser.add_argument("--batch-size", type=int, default=8)
    chosen = parser.parse_args()
    stream = rows(chosen.broker, chosen.run, chosen.group, until_end=chosen.until_end)
    with suppress(KeyboardInterrupt), closing(stream):
        for number, batch in enumerate(batches(stream, chosen.batch_size)):
            longest = max(len(row["instruction"] + row["input"] + row["output"]) for row in batch)
            sys.stdout.write(f"batch {number}: {len(batch)} rows, the longest of {longest} characters\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
