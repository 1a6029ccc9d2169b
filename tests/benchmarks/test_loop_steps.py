import asyncio
import time

from benchmarks.loop_steps import Steps, watched


def test_a_long_step_is_found_and_named() -> None:
    async def burn() -> None:
        until = time.thread_time() + 0.02
        while time.thread_time() < until:
            pass
        await asyncio.sleep(0)

    steps = Steps()
    with watched(steps):
        asyncio.run(burn(), debug=False)
    took_ms, _, name = max(steps.slowest)
    assert took_ms >= 20
    assert "Task-" in name
    assert steps.count > 1


def test_only_the_slowest_steps_are_kept() -> None:
    steps = Steps()
    for took_ms in range(1_000):
        steps.add(float(took_ms), lambda: "step")
    assert max(steps.slowest)[0] == 999
    assert len(steps.slowest) <= 200
    assert steps.count == 1_000


def test_steps_below_a_millisecond_are_only_counted() -> None:
    steps = Steps()
    steps.add(0.5, lambda: "step")
    assert (steps.count, steps.total_ms, steps.slowest) == (1, 0.5, [])
