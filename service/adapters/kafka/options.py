"""Connection options and timeouts for a Kafka cluster."""

import os
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from service.errors import ConfigurationError
from service.messaging.record_size import MAX_RECORD_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Options for TLS and SASL. Files are PEM; without `ca_file`, the system's CAs are trusted."""

    tls: bool = False
    sasl_mechanism: str | None = None
    username: str | None = None
    password: SecretStr | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    @property
    def protocol(self) -> str:
        """Kafka's name for the combination of TLS and SASL, such as `SASL_SSL`."""
        return ("SASL_" if self.sasl_mechanism else "") + ("SSL" if self.tls else "PLAINTEXT")

    @property
    def principal(self) -> str:
        """The identity of this client at Kafka, as far as it is known here."""
        if self.sasl_mechanism is not None:
            return f"User:{self.username}"
        if self.certificate_file is not None:
            return f"the subject of {self.certificate_file}"
        return "User:ANONYMOUS"

    def client_options(self) -> dict[str, Any]:
        """Return the options for TLS and SASL under aiokafka's names.

        Raises:
            ConfigurationError: a certificate or key cannot be used.
        """
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self.tls:
            options["ssl_context"] = self._context()
        if self.sasl_mechanism is not None:
            password = self.password.get_secret_value() if self.password is not None else None
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": password,
            }
        return options

    def _context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.certificate_file is not None:
                context.load_cert_chain(self.certificate_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            files = [str(file) for file in (self.ca_file, self.certificate_file, self.key_file) if file is not None]
            raise ConfigurationError(f"{', '.join(files)}: expected PEM files for TLS with Kafka: {error}") from error
        return context


def _own_name() -> str:
    return f"seedstream-{socket.gethostname()}-{os.getpid()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaOptions:
    """One cluster, as seen from one process.

    The process gives up when no broker has answered for `gone_after_s`. A transaction that its producer left open hides
    later records for `transaction_timeout_s`, unless a new producer takes over its id. A group expels a member that is
    silent for `session_timeout_s` (brokers refuse less than 6 s unless configured otherwise). At a rebalance, the other
    members wait for it for `rebalance_timeout_s`.
    """

    bootstrap: str
    security: Security = field(default_factory=Security)
    client_id: str = field(default_factory=_own_name)
    compression: str | None = "lz4"
    max_record_bytes: int = MAX_RECORD_BYTES
    replication: int | None = None
    session_timeout_s: float = 6.0
    heartbeat_s: float = 2.0
    rebalance_timeout_s: float = 30.0
    request_timeout_s: float = 35.0
    transaction_timeout_s: float = 30.0
    gone_after_s: float = 120.0

    def client_options(self) -> dict[str, Any]:
        """Return the options common to all clients of aiokafka, under its names."""
        return {
            "bootstrap_servers": self.bootstrap.split(","),
            "client_id": self.client_id,
            "request_timeout_ms": round(self.request_timeout_s * 1000),
            "metadata_max_age_ms": 60_000,
            **self.security.client_options(),
        }
