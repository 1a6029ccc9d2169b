import sys
from pathlib import Path

from benchmarks import measured

_BUSY = "import sys, time\nwhile time.process_time() < 0.3: pass\nsys.exit(4)"


def test_a_command_is_measured_to_its_end(tmp_path: Path) -> None:
    usage = measured.run([sys.executable, "-c", _BUSY], tmp_path)
    assert usage.exit_code == 4
    assert 0.3 <= usage.cpu_s < 3
    assert usage.loop_s > 0
    assert 1 < usage.rss_mib < 100


def test_a_stop_is_passed_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = "import time; print('up', flush=True); time.sleep(60)"
    with measured.running([sys.executable, "-c", told], tmp_path, out) as started:
        while out.read_bytes() != b"up\n":
            assert started.process.poll() is None
        started.stop()
        assert started.usage().exit_code == -15
