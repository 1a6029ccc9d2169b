"""The HTTP endpoints of a worker, as a probe calls them."""

import socket
from http.client import HTTPConnection

from tests.acceptance.program import DEADLINE_S


def free_port() -> int:
    """Return a port without a listener."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return int(reserved.getsockname()[1])


def fetch(port: int, path: str) -> tuple[int, str]:
    """Return the status and body of a page, or 0 and an empty text without a listener."""
    connection = HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    try:
        connection.request("GET", f"/{path}")
        response = connection.getresponse()
        return response.status, response.read().decode()
    except ConnectionRefusedError:
        return 0, ""
    finally:
        connection.close()
