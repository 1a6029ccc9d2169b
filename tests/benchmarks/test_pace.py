from benchmarks.grown_log import ACCEPTED
from benchmarks.pace import Run, pace, sizes_up_to


def test_a_run_grows_to_each_size() -> None:
    small, large = pace([100, 200])
    assert (small.tasks, large.tasks) == (100, 200)
    assert small.log_gib > 0
    assert all(each > 0 for each in [small.judging_s, *large.each_s.values()])


def test_the_filter_holds_every_task_of_the_run() -> None:
    run = Run()
    run.grow(10)
    assert run.admit.machine_tasks == 10 * ACCEPTED


def test_sizes_end_with_the_number_asked_for() -> None:
    assert sizes_up_to(50_000) == [1_000, 10_000, 50_000]
