"""The service does as its OpenAPI document says, as schemathesis tries it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

from tests.support.commands import invoke
from tests.web.service import ADMIN, bearer, served

pytestmark = pytest.mark.http_fuzzing
_EXAMPLES = 20
