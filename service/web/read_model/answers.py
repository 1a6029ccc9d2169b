"""The answers of the read model, and the filter of its questions for tasks.

Times are milliseconds of Unix time. A `row` numbers the finished tasks of a run from 1 without gaps, in the order in
which this read model read them; after a rebuild the rows of several partitions may be in another order. A vector maps
a partition of the topic `tasks` to the offset of the next record there.
"""

from enum import StrEnum

from msgspec import Struct

from service.messaging.messages import Call, FailedCall, Origin
from service.selfinstruct.tasks import Instance

# The distance of a task to the nearest earlier task of the pool is known below this; behind it, it is `None`.
MAX_KNOWN_DISTANCE = 0.5
# The most nodes in each graph of a story.
MAX_NODES = 200

Vector = dict[int, int]


class Classification(StrEnum):
    """Whether a task is a classification task; `unknown` if the recipe does not ask."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class TaskOrder(StrEnum):
    """The order of a listing of tasks: the last ones that were read first, or the first ones."""

    NEWEST = "newest"
    OLDEST = "oldest"


class TaskFilter(Struct, frozen=True, kw_only=True):
    """Conditions on finished tasks, all of which must hold.

    `text` are words that the instruction, inputs or outputs contain, in any order; the last one may be the beginning of
    a word, and words between quotation marks are a phrase. `min_distance` above `MAX_KNOWN_DISTANCE` means that limit.
    All finished tasks have origin `machine`.
    """

    text: str | None = None
    classification: Classification | None = None
    origin: Origin | None = None
    topic: str | None = None
    model: str | None = None
    depth: int | None = None
    min_distance: float | None = None
    order: TaskOrder = TaskOrder.NEWEST


class StreamRow(Struct, frozen=True, kw_only=True):
    """A finished task: `value` is the JSON of its record, as on the log."""

    row: int
    partition: int
    offset: int
    timestamp_ms: int
    value: bytes
    is_classification: bool | None
    topic: str | None
    model: str
    depth: int
    distance: float | None


class MatchingRows(Struct, frozen=True):
    """The rows that meet a filter up to row `examined`, in the order of reading."""

    rows: tuple[StreamRow, ...]
    examined: int


class FoundTask(Struct, frozen=True, kw_only=True):
    """A task of a page; `vector` is the position of a stream that has just sent its row."""

    task: StreamRow
    vector: Vector


class TaskPage(Struct, frozen=True, kw_only=True):
    """A page of tasks; `next` is the cursor of the next page, `None` on the last. `total` counts over all pages."""

    tasks: tuple[FoundTask, ...]
    next: int | None
    total: int


class Verdict(Struct, frozen=True, kw_only=True):
    """A candidate and the verdict on it: accepted if `reason` is `None`.

    `instruction` is `None` if the answer is not on the log, or has not been read yet. `nearest` is the id of the pool
    task that made it too similar, with its text and score. `decided_ms` is `None` before there is a verdict.
    """

    id: str
    instruction: str | None
    reason: str | None = None
    nearest: str | None = None
    nearest_instruction: str | None = None
    score: float | None = None
    decided_ms: int | None = None


class DecisionPage(Struct, frozen=True, kw_only=True):
    """A page of verdicts, the latest first; `next` is the cursor of the next page."""

    verdicts: tuple[Verdict, ...]
    next: int | None


class Seed(Struct, frozen=True, kw_only=True):
    """A human-written task of the pool, and what came of the prompts that showed it.

    `prompts` are those with an answer, `candidates` the candidates in these answers, `accepted` and `finished` the
    tasks made of them.
    """

    id: str
    pool_seq: int
    instruction: str
    instances: tuple[Instance, ...]
    is_classification: bool | None
    prompts: int
    candidates: int
    accepted: int
    finished: int


class SeedPage(Struct, frozen=True, kw_only=True):
    """A page of seeds, in the order of the pool; `next` is the cursor of the next page."""

    seeds: tuple[Seed, ...]
    next: int | None
    total: int


class Node(Struct, frozen=True, kw_only=True):
    """A task of the pool in a graph."""

    id: str
    origin: Origin
    depth: int
    instruction: str


class Edge(Struct, frozen=True, kw_only=True):
    """Task `parent` was shown in the prompt from which task `child` came."""

    parent: str
    child: str


class Graph(Struct, frozen=True, kw_only=True):
    """Tasks and their relations, nearest generations first. If `is_whole` is false, there are more than the limit."""

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    is_whole: bool = True


class Span(Struct, frozen=True, array_like=True):
    """A part of a text, from character `start` up to but without `end`; characters are Unicode code points."""

    start: int
    end: int


class Comparison(Struct, frozen=True, kw_only=True):
    """The task of the pool nearest to another text by ROUGE-L.

    The spans mark the words of a longest common subsequence in the text itself (`own`) and in the nearest task.
    """

    id: str
    instruction: str | None
    score: float
    own: tuple[Span, ...]
    nearest: tuple[Span, ...]


class SemanticComparison(Struct, frozen=True, kw_only=True):
    """The task of the pool nearest in meaning: the cosine similarity by `model`."""

    id: str
    instruction: str | None
    score: float
    model: str


class StoryState(StrEnum):
    """The stage that a task or candidate has reached; a prompt is `open` or `decided`."""

    SEED = "seed"
    OPEN = "open"
    DECIDED = "decided"
    REJECTED = "rejected"
    ACCEPTED = "accepted"
    DROPPED = "dropped"
    FINISHED = "finished"


class Story(Struct, frozen=True, kw_only=True):
    """Everything that the log says about a task, candidate, seed or prompt.

    `reason` is that of a rejection, `dropped` the reason why an accepted task has no usable instance, `failure` the
    error of a call. `prompt` and `completion` are those of the prompt that the candidate came from, `siblings` all
    candidates of it. `calls` are by stage. `cost_usd` includes the prompt's whole completion; it is `None` if the cost
    of any call is unknown. Prompts, completions and instructions are untrusted text.
    """

    id: str
    state: StoryState
    instruction: str | None
    instances: tuple[Instance, ...]
    is_classification: bool | None
    origin: Origin | None
    depth: int
    topic: str | None
    reason: str | None
    dropped: str | None
    failure: str | None
    recipe: str | None
    templates: str | None
    prompt_id: str | None
    system: str | None
    prompt: str | None
    completion: str | None
    siblings: tuple[Verdict, ...]
    nearest: Comparison | None
    nearest_in_meaning: SemanticComparison | None
    ancestors: Graph
    descendants: Graph
    calls: dict[str, Call]
    failed_calls: dict[str, FailedCall]
    cost_usd: float | None
    finished_ms: int | None
