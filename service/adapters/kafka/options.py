"""How to reach a Kafka cluster, and how long to wait for it."""

import os
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from service.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Who we are and whom we trust. Files are PEM; without a CA of one's own those of the system are trusted."""

    tls: bool = False
    sasl_mechanism: str | None = None
    username: str | None = None
    password: SecretStr | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    @property
    def protocol(self) -> str:
        """Return Kafka's name for what is used of TLS and SASL."""
        return ("SASL_" if self.sasl_mechanism else "") + ("SSL" if self.tls else "PLAINTEXT")

    def client_options(self) -> dict[str, Any]:
        """Return the options that aiokafka's clients take.

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
    """One cluster, seen from one process.

    `gone_after_s` is how long nobody may answer before the process gives up; `transaction_timeout_s` how long a
    transaction that its writer left open hides later records, if nobody takes its place; `session_timeout_s` how long a
    member of a group may be silent (brokers refuse less than 6 s unless told otherwise); `rebalance_timeout_s` how long
    the others wait for it at a rebalance.
    """

    bootstrap: str
    security: Security = field(default_factory=Security)
    client_id: str = field(default_factory=_own_name)
    compression: str | None = "lz4"
    max_record_bytes: int = 1 << 20
    replication: int | None = None
    session_timeout_s: float = 6.0
    heartbeat_s: float = 1.0
    rebalance_timeout_s: float = 30.0
    request_timeout_s: float = 35.0
    transaction_timeout_s: float = 30.0
    gone_after_s: float = 120.0

    def client_options(self) -> dict[str, Any]:
        """Return the options that all of aiokafka's clients take."""
        return {
            "bootstrap_servers": self.bootstrap.split(","),
            "client_id": self.client_id,
            "request_timeout_ms": round(self.request_timeout_s * 1000),
            "metadata_max_age_ms": 60_000,
            **self.security.client_options(),
        }
