"""Concurrent worker processes that are restarted when they end, as Kubernetes does."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, SIGTERM
from types import TracebackType
from typing import Self

from tests.acceptance.program import CODE, Ended, Program, start

_LINES_S = 120.0
# After these exit codes a process is restarted: it was killed, or it was fenced.
_EXPECTED = {-SIGKILL, 75}


@dataclass(eq=False)
class Post:
    """A slot of the fleet: its roles, the folder of its code, and its current process."""

    roles: tuple[str, ...]
    flags: tuple[str, ...]
    code: Path
    program: Program


@dataclass
class Fleet:
    """The processes of one run. `settings` are the environment of each process, without prefix."""

    folder: Path
    settings: Mapping[str, str]
    posts: list[Post] = field(default_factory=list)
    ended: list[tuple[tuple[str, ...], int]] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()

    def add(self, *roles: str, flags: Sequence[str] = (), code: Path = CODE) -> Post:
        post = Post(roles, tuple(flags), code, self._start(roles, flags, code))
        self.posts.append(post)
        return post

    def kill(self, post: Post) -> None:
        self._note(post, post.program.kill())
        post.program = self._start(post.roles, post.flags, post.code)

    def stop(self, *posts: Post) -> list[Ended]:
        """Terminate processes, and wait for their ends. They are not restarted."""
        for post in posts:
            self.posts.remove(post)
            post.program.send(SIGTERM)
        ended = [post.program.end(60.0) for post in posts]
        for post, each in zip(posts, ended, strict=True):
            assert each.code == 0 or (each.code == -SIGTERM and not each.err), (post.roles, each.code, each.err)
        return ended

    def keep_up(self) -> None:
        """Restart the processes that ended with an expected exit code. Any other exit code is a failure."""
        for post in self.posts:
            if post.program.code is not None:
                self._note(post, post.program.end())
                post.program = self._start(post.roles, post.flags, post.code)

    def keep_up_until_lines(self, watching: Program, count: int) -> None:
        """Wait for this number of further lines of the run's watcher, and restart processes meanwhile."""
        give_up = time.monotonic() + _LINES_S
        while not watching.has_lines(count):
            assert time.monotonic() < give_up, f"{count} lines took over {_LINES_S} s; ends so far: {self.ended}"
            watching.let_pass(0.1)
            self.keep_up()

    def of(self, *roles: str) -> list[Post]:
        return [post for post in self.posts if set(roles).intersection(post.roles)]

    def codes(self) -> Counter[int]:
        """Return how often processes ended with each exit code."""
        return Counter(code for _, code in self.ended)

    def _start(self, roles: Sequence[str], flags: Sequence[str], code: Path) -> Program:
        return self._stack.enter_context(
            start(self.folder, "worker", *roles, *flags, settings=self.settings, code=code)
        )

    def _note(self, post: Post, ended: Ended) -> None:
        assert ended.code in _EXPECTED, (post.roles, ended.code, ended.err)
        self.ended.append((post.roles, ended.code))


@contextmanager
def watched(folder: Path, settings: Mapping[str, str]) -> Iterator[Program]:
    """Watch a run during its fleet's work. The watching process ends when the run has come to rest."""
    with start(folder, "watch", settings=settings) as program:
        yield program
