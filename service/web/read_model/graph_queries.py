"""The relations between tasks: those shown in the prompts that a task came from, and those that came of its own."""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from service.messaging.messages import Origin
from service.web.read_model.answers import MAX_NODES, Edge, Graph, Node

_PARENTS = """
SELECT pool.id, origin, depth, instruction, pool.prompt FROM shown JOIN pool ON pool.id = shown.id
WHERE shown.prompt = ? ORDER BY place
"""
_CHILDREN = """
SELECT pool.id, origin, depth, instruction, pool.prompt FROM shown JOIN pool ON pool.prompt = shown.prompt
WHERE shown.id = ? ORDER BY pool_seq LIMIT ?
"""

# A task on the way: its id, and the number of its prompt.
_Start = tuple[str, int | None]


def ancestors_of(connection: sqlite3.Connection, task: str, prompt: int | None) -> Graph:
    """Return the tasks shown in the prompt of a task, those in their prompts, and so on to human tasks."""

    def parents(_: str, prompt: int | None) -> Iterator[tuple[Any, ...]]:
        return connection.execute(_PARENTS, (prompt,)) if prompt is not None else iter(())

    return _walk((task, prompt), parents, lambda this, other: Edge(parent=other, child=this))


def descendants_of(connection: sqlite3.Connection, task: str) -> Graph:
    """Return the accepted tasks of the prompts that showed a task, of those that showed these, and so on."""

    def children(task: str, _: int | None) -> Iterator[tuple[Any, ...]]:
        return connection.execute(_CHILDREN, (task, MAX_NODES + 1))

    return _walk((task, None), children, lambda this, other: Edge(parent=this, child=other))


def _walk(
    start: _Start, next_to: Callable[[str, int | None], Iterator[tuple[Any, ...]]], edge: Callable[[str, str], Edge]
) -> Graph:
    """Return the tasks around one, by generations. The task itself is among them only if it is its own relative."""
    nodes: dict[str, Node] = {}
    edges: dict[Edge, None] = {}
    is_whole, waiting = True, [start]
    while waiting:
        reached = list[_Start]()
        for name, prompt in waiting:
            for other, origin, depth, instruction, its_prompt in next_to(name, prompt):
                if other not in nodes and len(nodes) == MAX_NODES:
                    is_whole = False
                    continue
                if other not in nodes:
                    nodes[other] = Node(id=other, origin=Origin(origin), depth=depth, instruction=instruction)
                    reached.append((other, its_prompt))
                edges[edge(name, other)] = None
        waiting = reached
    return Graph(nodes=tuple(nodes.values()), edges=tuple(edges), is_whole=is_whole)
