"""A shape is a way of writing an answer as a chat model would."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from tests.fakes.chat.wrappings import Wrapping


@dataclass(frozen=True)
class Shape:
    """One way of writing; shapes of a kind differ in small things.

    A tolerant parser may refuse what is not readable, or a part of it, but gives nothing that was not meant.
    """

    name: str
    kind: str
    write: Callable[..., str]
    readable: bool = True


def wrapped_shapes(wrappings: dict[str, Wrapping], kind: str, plain: Shape) -> Iterator[Shape]:
    """Yield a shape for each wrapping, around a plain one; a kind that ends with `/` gets the wrapping's name."""
    for name, wrapping in wrappings.items():
        yield replace(
            plain, name=name, kind=f"{kind}{name}" if kind.endswith("/") else kind, write=around(wrapping, plain.write)
        )


def around(wrapping: Wrapping, write: Callable[..., str]) -> Callable[..., str]:
    """Return the writer whose text is wrapped."""
    return lambda rng, *meant: wrapping(rng, write(rng, *meant))


def one_of(*writers: Callable[..., str]) -> Callable[..., str]:
    """Return the writer that is one of several at a time."""
    return lambda rng, *meant: rng.choice(writers)(rng, *meant)


def of_kind(shapes: Sequence[Shape], kind: str) -> tuple[Shape, ...]:
    """Return the shapes of a kind."""
    return tuple(shape for shape in shapes if shape.kind == kind)
