"""The program as its user runs it: a child process with an exit code, output, and records on the log."""

import pytest

pytest.register_assert_rewrite("tests.acceptance.invariants", "tests.acceptance.program")
