"""How this process reaches Kafka: the one place that turns settings into client configuration.

Reads the settings and the password file; every client of confluent-kafka and every raw connection (kafka_login) goes
through `Brokers`. Guarantees that no password stands in a repr, a log or an error.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from confluent_kafka import KafkaError
from pydantic import SecretStr

from runtime.settings import Settings

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256"]

NOT_AUTHORIZED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
"""The principal is known and lacks a right."""

NOT_AUTHENTICATED = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED})


ANSWER_TIMEOUT_MS = 10_000
"""`socket.timeout.ms` of whoever reads: a fetch waits at most 0.5 s at the broker, so one that is not answered by then
has lost its connection. librdkafka's minute would be a minute without records. Producers follow the transaction
timeout by themselves."""

_NO_PASSWORD = SecretStr("")


class AccessRefused(Exception):
    """The brokers are there and don't let this process in, or not do this. `str()` names who lacks what, and the
    remedy. Trying again changes nothing until somebody has done something about it.
    """


@dataclass(frozen=True, slots=True)
class Login:
    """How a connection is secured, and as whom."""

    protocol: SecurityProtocol = "PLAINTEXT"
    ca_file: Path | None = None
    mechanism: Mechanism = "SCRAM-SHA-512"
    user: str = ""
    password: SecretStr = _NO_PASSWORD

    @property
    def has_tls(self) -> bool:
        return self.protocol.endswith("SSL")

    @property
    def has_sasl(self) -> bool:
        return self.protocol.startswith("SASL")

    @property
    def principal(self) -> str:
        """For sentences."""
        return f"principal {self.user}" if self.has_sasl else "a client without credentials"

    def may_not(self, action: str, code: str) -> str:
        """The sentence for a missing right."""
        return (
            f"{self.principal} may not {action} ({code}): `millrace topics`, run as the administrator, gives every"
            " principal the rights of its stage (docs/security.md lists them)"
        )

    def wrong_password(self) -> str:
        """The sentence for a refused login."""
        return (
            f"the brokers refuse the login of {self.user or 'a client without a name'}: its password is wrong or the"
            " user is unknown there; correct MILLRACE_KAFKA_USER and MILLRACE_KAFKA_PASSWORD_FILE"
        )

    def untrusted(self, reason: str) -> str:
        """The sentence for a certificate that is not the brokers' own."""
        authorities = self.ca_file or "the system's authorities"
        return (
            f"the certificate of the brokers is not one that {authorities} vouch for ({reason}): set"
            " MILLRACE_KAFKA_CA_FILE to the authority that signed it, and check that these are your brokers"
        )


OPEN = Login()
"""Plain and anonymous: brokers on loopback."""


class Brokers(NamedTuple):
    """Where the brokers are, and how to get in."""

    bootstrap: str
    login: Login = OPEN

    @classmethod
    def of(cls, settings: Settings) -> "Brokers":
        """Raises AccessRefused where the password file can't be read."""
        login = Login(
            settings.kafka_security_protocol,
            settings.kafka_ca_file,
            settings.kafka_sasl_mechanism,
            settings.kafka_user,
            _password(settings),
        )
        return cls(settings.kafka_bootstrap, login)

    def configuration(self) -> dict[str, Any]:
        """librdkafka's settings that say where and how to connect; every client starts from them."""
        login = self.login
        found: dict[str, Any] = {"bootstrap.servers": self.bootstrap}
        if login.protocol == "PLAINTEXT":
            return found
        found["security.protocol"] = login.protocol
        if login.has_tls and login.ca_file is not None:
            found["ssl.ca.location"] = str(login.ca_file)
        if login.has_sasl:
            found["sasl.mechanism"] = login.mechanism
            found["sasl.username"] = login.user
            found["sasl.password"] = login.password.get_secret_value()
        return found

    def explained(self, error: KafkaError, action: str) -> str:
        """An error in one sentence. `action` completes “may not …”, as in “write payments.commands”."""
        if error.code() in NOT_AUTHORIZED:
            return self.login.may_not(action, error.name())
        if error.code() in NOT_AUTHENTICATED:
            return self.login.wrong_password()
        if error.code() == KafkaError._SSL:
            return f"no TLS connection ({error.str()})"
        return str(error)


def is_refusal(error: KafkaError) -> bool:
    """Whether somebody has to change a right or a password before the same call can succeed."""
    return error.code() in NOT_AUTHORIZED or error.code() in NOT_AUTHENTICATED


def _password(settings: Settings) -> SecretStr:
    if settings.kafka_password is not None:
        return settings.kafka_password
    path = settings.kafka_password_file
    if path is None:
        return _NO_PASSWORD
    try:
        return SecretStr(path.read_text().rstrip("\r\n"))
    except OSError as error:
        raise AccessRefused(
            f"can't read the password of {settings.kafka_user} from {path} ({error.strerror}):"
            " correct MILLRACE_KAFKA_PASSWORD_FILE"
        ) from error
