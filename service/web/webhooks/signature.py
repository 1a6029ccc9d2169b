"""Signatures of webhooks, as the Standard Webhooks specification has them: HMAC-SHA256 over id, time and body."""

import base64
import hmac
from collections.abc import Mapping

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
_VERSION = "v1,"
# A receiver refuses older requests, so that a recorded one cannot be sent again.
TOLERANCE_S = 300


def signed_headers(secret: bytes, delivery: str, now_s: int, body: bytes) -> dict[str, str]:
    """Return the headers that name a delivery and prove its origin."""
    return {ID: delivery, TIMESTAMP: str(now_s), SIGNATURE: _signature(secret, delivery, str(now_s), body)}


def is_signed(secret: bytes, headers: Mapping[str, str], body: bytes, now_s: float) -> bool:
    """Return whether a request comes from the holder of the secret, unchanged and within five minutes.

    `headers` are looked up by small letters.
    """
    delivery, timestamp = headers.get(ID, ""), headers.get(TIMESTAMP, "")
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(now_s - int(timestamp)) > TOLERANCE_S:
        return False
    expected = _signature(secret, delivery, timestamp, body)
    return any(hmac.compare_digest(expected.encode(), each.encode()) for each in headers.get(SIGNATURE, "").split(" "))


def _signature(secret: bytes, delivery: str, timestamp: str, body: bytes) -> str:
    signed = b".".join((delivery.encode(), timestamp.encode(), body))
    return _VERSION + base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()
