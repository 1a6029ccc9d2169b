"""A real Kafka, started by `deploy/kafka/kafka.sh`. Every wait has a deadline, and no broker outlives its test."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import anyio
from aiokafka.admin import AIOKafkaAdminClient

_SCRIPT = Path(__file__).parents[2] / "deploy" / "kafka" / "kafka.sh"
_FETCH_S = 300.0
_START_S = 100.0
_END_S = 20.0
_READ_S = 60.0
_PROXIED, _PROXY = 4, 7
# These ports are below the system's range for clients, so no client takes the port of a stopped broker.
_PORTS = range(20_000, 32_000, 30)


@cache
def unavailable() -> str | None:
    """Return the reason why Kafka cannot be started here, or None. Downloads Kafka if that is allowed."""
    try:
        _run("libs", environment=_environment(), deadline_s=_FETCH_S)
    except RuntimeError as error:
        return str(error).splitlines()[-1]
    return None


@dataclass(frozen=True, slots=True)
class Cluster:
    """Running brokers, counted from 0. Clients of `secure_bootstrap` log in as `user`, with TLS."""

    folder: Path
    nodes: int
    first_port: int
    user: str = "seedstream"
    password: str = "only-for-tests"

    @classmethod
    @contextmanager
    def start(
        cls, folder: Path, nodes: int = 1, *, secure: bool = False, users: Sequence[str] = ()
    ) -> "Iterator[Cluster]":
        """Start brokers on free ports. They are killed when the block ends.

        `users` log in with SASL/PLAIN and may do only what access control lists allow. Everybody else may do all.
        """
        with _free_ports(nodes) as first_port:
            cluster = cls(folder, nodes, first_port)
            settings = _environment() | _settings(cluster, users, secure=secure)
            try:
                _run("start", folder, str(nodes), environment=settings, deadline_s=_START_S)
                yield cluster
            finally:
                for node in range(nodes):
                    cluster.kill(node)

    @property
    def bootstrap(self) -> str:
        return _addresses(self.first_port, self.nodes)

    @property
    def secure_bootstrap(self) -> str:
        return _addresses(self.first_port + 10, self.nodes)

    @property
    def proxied_port(self) -> int:
        """The port of the first broker for clients behind a proxy. They are told to connect to `proxy_port`."""
        return self.first_port + _PROXIED

    @property
    def proxy_port(self) -> int:
        return self.first_port + _PROXY

    @property
    def tls(self) -> Path:
        """The folder of `ca.pem`, `client.pem` and `client.key`."""
        return self.folder / "tls"

    def login(self, user: str, folder: Path) -> dict[str, str]:
        """Return the settings of a process that logs in as this user; the password is in a file in the folder."""
        password = folder / "password"
        password.write_text(self.password)
        return {
            "BROKER": f"kafka://{self.secure_bootstrap}",
            "KAFKA_TLS": "true",
            "KAFKA_CA_FILE": str(self.tls / "ca.pem"),
            "KAFKA_SASL": "PLAIN",
            "KAFKA_USERNAME": user,
            "KAFKA_PASSWORD_FILE": str(password),
        }

    def acls(self, *arguments: str) -> str:
        """Run `kafka-acls.sh` as an administrator; return its output."""
        where = ("acls", "--bootstrap-server", self.bootstrap)
        return _run(*where, *arguments, environment=_environment(), deadline_s=_READ_S)

    def kill(self, node: int) -> None:
        """Kill a broker, which may have ended before."""
        self._signal(node, signal.SIGKILL)
        self._pid_file(node).unlink(missing_ok=True)
        give_up = time.monotonic() + _END_S
        while _listens(self.first_port + node):
            assert time.monotonic() < give_up, f"node {node} still listens"
            time.sleep(0.02)

    def pause(self, node: int) -> None:
        """Stop the process of a broker with its connections open."""
        self._signal(node, signal.SIGSTOP)

    def resume(self, node: int) -> None:
        self._signal(node, signal.SIGCONT)

    def restart(self, *nodes: int) -> None:
        """Restart brokers with their ports and data. Returns when they answer.

        Fewer than half of the nodes never answer: restart all killed nodes together.
        """
        _run("restart", self.folder, *map(str, nodes), environment=_environment(), deadline_s=_START_S)

    def leader(self, topic: str, partition: int = 0) -> int:
        """Return the leader of a partition, as soon as there is one."""

        async def ask() -> int:
            client = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
            await client.start()
            try:
                with anyio.fail_after(_END_S):
                    while True:
                        [described] = await client.describe_topics([topic])
                        leaders = {each["partition"]: int(each["leader"]) for each in described["partitions"]}
                        if leaders.get(partition, -1) >= 0:
                            return leaders[partition]
                        await anyio.sleep(0.05)
            finally:
                await client.close()

        return anyio.run(ask)

    def console_consumer(self, topic: str, at_least: int) -> list[str]:
        """Return a topic's committed values from its beginning, one per line, printed by Kafka's console consumer.

        It ends when nothing came for some seconds, which on a busy machine may be before its first record. So it is
        started again until it has printed `at_least` lines, under a deadline.
        """
        read = ("--from-beginning", "--isolation-level", "read_committed", "--timeout-ms", "5000")
        until = time.monotonic() + _READ_S
        while True:
            out = _run("console-consumer", self.bootstrap, topic, *read, environment=_environment(), deadline_s=_READ_S)
            lines = out.split("\n")[:-1]
            if len(lines) >= at_least or time.monotonic() > until:
                return lines

    def _pid_file(self, node: int) -> Path:
        return self.folder / f"node-{node}" / "pid"

    def _signal(self, node: int, number: signal.Signals) -> None:
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int(self._pid_file(node).read_text()), number)


def _run(*arguments: str | Path, environment: Mapping[str, str], deadline_s: float) -> str:
    """Run the script. Returns its output. Only brokers, in their own process groups, outlive it."""
    script = subprocess.Popen(
        [_SCRIPT, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        out, err = script.communicate(timeout=deadline_s)
    except BaseException:
        os.killpg(script.pid, signal.SIGKILL)
        script.communicate()
        raise
    if script.returncode != 0:
        raise RuntimeError(err.strip() or f"kafka.sh ended with {script.returncode}")
    return out


def _settings(cluster: Cluster, users: Sequence[str], *, secure: bool) -> dict[str, str]:
    """Return the settings of the script, as environment variables."""
    return {
        "KAFKA_PORT": str(cluster.first_port),
        "KAFKA_PROXIED_PORT": str(cluster.proxied_port),
        "KAFKA_PROXY_PORT": str(cluster.proxy_port),
        "KAFKA_SECURE_PORT": str(cluster.first_port + 10),
        "KAFKA_CONTROLLER_PORT": str(cluster.first_port + 20),
        "KAFKA_SECURITY": "1" if secure or users else "",
        "KAFKA_USERS": " ".join(users),
        "KAFKA_PASSWORD": cluster.password,
    }


def _environment() -> dict[str, str]:
    return dict(os.environ)  # noqa: TID251 - Java, Maven and KAFKA_VERSION are those of whoever runs the tests


def _addresses(first_port: int, nodes: int) -> str:
    return ",".join(f"localhost:{first_port + node}" for node in range(nodes))


@contextmanager
def _free_ports(nodes: int) -> Iterator[int]:
    """Yield the first of thirty ports, of which those that the nodes and their proxies use are free.

    The last of the thirty stays bound, so that no other test takes them while the brokers start. Tests of other
    processes have the same seed of `random`.
    """
    for first in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        with socket.socket() as taken:
            try:
                taken.bind(("localhost", first + _PORTS.step - 1))
            except OSError:
                continue
            if _are_free(first, nodes):
                yield first
                return
    raise RuntimeError(f"expected thirty free ports from {_PORTS.start} on, and there are none")


def _are_free(first: int, nodes: int) -> bool:
    with ExitStack() as stack:
        try:
            for port in (first + place + node for place in (0, _PROXIED, _PROXY, 10, 20) for node in range(nodes)):
                stack.enter_context(socket.socket()).bind(("localhost", port))
        except OSError:
            return False
    return True


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("localhost", port), timeout=1.0):
        return True
    return False
