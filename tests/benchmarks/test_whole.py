from benchmarks import growth
from benchmarks.__main__ import Whole, picture
from benchmarks.client import Measured as Calls
from benchmarks.measured import Usage
from benchmarks.throughput import CASES
from benchmarks.throughput import Measured as Run

_RUN = Run(CASES[0], Usage(4, 0.0, 10.0, 4.0, 150.0, 3.0), 2_000, 9_000, flow_s=9.0, bare_s=8.0, bare_cpu_s=0.4)
_STARTED = [
    growth.Measured(growth.BARE, 1_000, checkpoints=False, ready_s=0.2, cpu_s=0.1, rss_mib=12.0),
    growth.Measured("status", 1_000, checkpoints=False, ready_s=3.0, cpu_s=2.0, rss_mib=100.0),
    growth.Measured("status", 1_000, checkpoints=True, ready_s=0.5, cpu_s=0.4, rss_mib=90.0),
    growth.Measured("producer", 1_000, checkpoints=False, ready_s=1.0, cpu_s=1.0, rss_mib=90.0),
    growth.Measured("producer", 1_000, checkpoints=True, ready_s=0.3, cpu_s=0.3, rss_mib=90.0),
]


def test_each_figure_stands_beside_its_baseline() -> None:
    whole = Whole([_RUN], (Calls(100, 1.0, 0.1), Calls(100, 2.0, 0.2)), [], _STARTED, [])
    assert [each.row() for each in whole.rows()] == [
        "| alpaca-500ms, completions/s | 200 | bare loop 250 | 0.80 |",
        "| alpaca-500ms, CPU ms each | 2.00 | bare loop 0.20 | 10 |",
        "| calls alone, 1,000 in flight, answers/s | 50 | bare loop 100 | 0.50 |",
        "| status, 1,000 tasks | 2.00 s CPU, 100 MiB | reading the log with sqlite3 0.10 s | 20 |",
        "| status, 1,000 tasks, from checkpoints | 0.40 s CPU, 90 MiB | reading the log with sqlite3 0.10 s | 4.00 |",
        "| producer, 1,000 tasks | 1.00 s CPU, 90 MiB | reading the log with sqlite3 0.10 s | 10 |",
        "| producer, 1,000 tasks, from checkpoints | 0.30 s CPU, 90 MiB | reading the log with sqlite3 0.10 s | 3.00 |",
    ]


def test_the_picture_names_its_lines() -> None:
    drawn = picture(_STARTED)
    assert all(f">{name}</text>" in drawn for name in ("status", "producer", "status, checkpoints"))
