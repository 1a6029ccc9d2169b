"""A fleet on a Kafka with access control lists: every account has the rights that `topics acls` prints."""

import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from signal import SIGTERM
from uuid import uuid4

import anyio
import orjson
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest
from anyio.from_thread import start_blocking_portal

from service.messaging.broker import NewRecord
from service.messaging.dead_letters import STAGE_INPUTS
from service.messaging.rights import Account, Operation, Resource, Right, rights_of
from service.pipeline.role import Role
from tests.acceptance.model import eventually
from tests.acceptance.program import run, start
from tests.kafka.cluster import Cluster
from tests.kafka.http import fetch, free_port
from tests.kafka.test_commands import write
from tests.web.webhooks.receiver import SECRET, receiving

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

TARGET = 12
# Kafka's numbers of them.
RESOURCES = {Resource.TOPIC: 2, Resource.GROUP: 3, Resource.CLUSTER: 4, Resource.TRANSACTIONAL_ID: 5}
OPERATIONS = {
    Operation.READ: 3,
    Operation.WRITE: 4,
    Operation.CREATE: 5,
    Operation.DESCRIBE: 8,
    Operation.DESCRIBE_CONFIGS: 10,
}
LITERAL, PREFIXED, ALLOW = 3, 4, 3


def allow(cluster: Cluster, user: str, rights: Sequence[Right]) -> None:
    """Give a user rights, as `kafka-acls.sh` does, without a new Java for each."""

    async def send() -> None:
        client = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
        await client.start()
        try:
            for right in rights:
                pattern = PREFIXED if right.prefixed else LITERAL
                request = CreateAclsRequest(
                    RESOURCES[right.resource],
                    right.name,
                    pattern,
                    f"User:{user}",
                    "*",
                    OPERATIONS[right.operation],
                    ALLOW,
                )
                answer = (await client._send_request(request)).to_object()  # noqa: SLF001 - it has no method for lists
                assert [each["error_code"] for each in answer["creation_responses"]] == [0]
        finally:
            await client.close()

    anyio.run(send)


def the_web_account_shows_and_steers_the_run(settings: dict[str, str], folder: Path, run_name: str) -> None:
    """Serve a run that has reached its target, change its goal, and deliver its tasks to a webhook."""
    port = free_port()
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(receiving()) as receiver:
        (folder / "hook.key").write_bytes(SECRET)
        table = f'run = "{run_name}"\nurl = "{receiver.url}"\nsecret_file = "hook.key"\n'
        (folder / "hooks.toml").write_text(f"[archive]\n{table}")
        with start(folder, "web", "--web-port", str(port), "--web-webhooks", "hooks.toml", settings=settings) as web:
            eventually(lambda: fetch(port, f"v1/runs/{run_name}")[0] == 200)
            assert orjson.loads(fetch(port, f"v1/runs/{run_name}")[1])["finished"] == TARGET
            goal = urllib.request.Request(
                f"http://127.0.0.1:{port}/v1/runs/{run_name}/goal",
                data=b'{"rpm": 600}',
                headers={"Content-Type": "application/json"},
                method="PATCH",
            )
            with urllib.request.urlopen(goal, timeout=30) as answer:
                assert orjson.loads(answer.read())["rpm"] == 600
            eventually(lambda: len(receiver.numbers) >= TARGET)
            web.send(SIGTERM)
            assert web.end().code == 0


def test_a_fleet_works_under_the_least_rights(guarded_kafka: Cluster, tmp_path: Path) -> None:
    name = f"t{uuid4().hex[:8]}"
    common = {"RUN": name, "LM": "simulator", "PARTITIONS": "2", "PRICE_PROMPT": "1", "PRICE_COMPLETION": "1"}

    def login(account: Account) -> dict[str, str]:
        return guarded_kafka.login(account.value, tmp_path) | common

    for account in Account:
        allow(guarded_kafka, account, rights_of(account, name))
    created = run(tmp_path, "topics", "create", settings=login(Account.CREATOR))
    assert created.code == 0, created.err
    write(guarded_kafka, *(NewRecord(topic.of(name), b"poison") for topic in STAGE_INPUTS))
    with ExitStack() as stack:
        workers = [
            stack.enter_context(start(tmp_path, "worker", role, settings=login(Account(role.value)))) for role in Role
        ]
        operator = login(Account.OPERATOR)
        limits = ("--max-in-flight", "60", "--budget", "100")
        goal = run(tmp_path, "goal", "--target", str(TARGET), *limits, settings=operator)
        assert goal.code == 0, goal.err
        consumed = run(tmp_path, "consume", "--group", "mine", "--limit", str(TARGET), settings=login(Account.READER))
        assert len(consumed.tasks) == TARGET, consumed.err
        for command in ("replay", "cost", "export"):
            assert (ended := run(tmp_path, command, settings=operator)).code == 0, ended.err
        status = orjson.loads(run(tmp_path, "status", "--json", settings=operator).out)
        assert status["finished"] == TARGET
        for account in (Account.CREATOR, Account.OPERATOR):
            checked = run(tmp_path, "topics", "check", settings=login(account))
            assert (checked.code, "offsets.retention.minutes=" in checked.err) == (0, True), checked.err
        the_web_account_shows_and_steers_the_run(login(Account.WEB), tmp_path, name)
        for worker in workers:
            assert worker.code is None
    single = login(Account.SINGLE)
    again = run(tmp_path, "run", "--target", str(TARGET + 3), "--tasks", "new", settings=single)
    assert (again.code, f"{TARGET + 3} tasks are finished" in again.err) == (0, True), again.err
