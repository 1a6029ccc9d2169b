"""The program as its user meets it: a child process, its exit code, what it prints and what it leaves on the log."""

import pytest

pytest.register_assert_rewrite("tests.acceptance.invariants", "tests.acceptance.program")
