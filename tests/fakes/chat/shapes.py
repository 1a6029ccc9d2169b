"""A shape is a way in which a chat model writes an answer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from tests.fakes.chat.wrappings import Wrapping


@dataclass(frozen=True)
class Shape:
    """One way of writing. Shapes of a kind differ in small details.

    A tolerant parser may refuse an unreadable reply, or a part of it, but must not return an unintended text.
    """

    name: str
    kind: str
    write: Callable[..., str]
    readable: bool = True


def wrapped_shapes(wrappings: dict[str, Wrapping], kind: str, plain: Shape) -> Iterator[Shape]:
    """Yield a shape for each wrapping around a plain shape. A kind that ends with `/` gets the wrapping's name."""
    for name, wrapping in wrappings.items():
        yield replace(
            plain, name=name, kind=f"{kind}{name}" if kind.endswith("/") else kind, write=around(wrapping, plain.write)
        )


def around(wrapping: Wrapping, write: Callable[..., str]) -> Callable[..., str]:
    """Return the writer of wrapped texts."""
    return lambda rng, *meant: wrapping(rng, write(rng, *meant))


def one_of(*writers: Callable[..., str]) -> Callable[..., str]:
    """Return the writer that chooses one of several writers for each text."""
    return lambda rng, *meant: rng.choice(writers)(rng, *meant)


def of_kind(shapes: Sequence[Shape], kind: str) -> tuple[Shape, ...]:
    return tuple(shape for shape in shapes if shape.kind == kind)
