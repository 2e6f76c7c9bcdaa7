"""Raw connections to a broker, secured as the settings say: TLS, then SASL/SCRAM over Kafka's own frames (KIP-152).

Reads nothing but answers; keeps one socket per connection. Raises AccessRefused for what waiting can't mend (wrong
password, foreign certificate, another protocol) and OSError for a broker that is away.
"""

import socket
import ssl
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from scramp import ScramClient, ScramException

from runtime.kafka_client import OPEN, AccessRefused, Brokers, Login, is_refusal

TIMEOUT_S = 10.0
ANSWER_BYTES_MAX = 64 * 1024 * 1024
"""DescribeProducers of 10,000 partitions with 100 producers each is 40 MB."""

CLIENT_ID = b"millrace"

_SASL_HANDSHAKE, _API_VERSIONS, _SASL_AUTHENTICATE = 17, 18, 36
_UNSUPPORTED_SASL_MECHANISM, _ILLEGAL_SASL_STATE, _SASL_AUTHENTICATION_FAILED = 33, 34, 58
_TLS_ALERT = b"\x15\x03"
"""What a TLS listener answers to bytes that are no TLS: an alert record, version 3.x."""


class Connection:
    """One socket, logged in: a request, then its answer."""

    def __init__(self, sock: socket.socket, where: str) -> None:
        self._socket = sock
        self._stream = sock.makefile("rb")
        self._where = where

    def ask(self, message: bytes) -> bytes:
        """Send one message and return the answer to it. Raises OSError, AccessRefused."""
        self._socket.sendall(struct.pack(">i", len(message)) + message)
        return self._exactly(self._length(self._exactly(4)))

    def _length(self, prefix: bytes) -> int:
        if prefix.startswith(_TLS_ALERT):
            raise AccessRefused(
                f"{self._where} takes TLS alone and this client sends none:"
                " set MILLRACE_KAFKA_SECURITY_PROTOCOL to what the brokers speak (SASL_SSL, SSL)"
            )
        length: int = struct.unpack(">i", prefix)[0]
        if not 0 < length <= ANSWER_BYTES_MAX:
            raise OSError(f"answer of {length} bytes")
        return length

    def _exactly(self, length: int) -> bytes:
        taken = self._stream.read(length)
        if len(taken) != length:
            raise OSError(f"connection closed after {len(taken)} of {length} bytes")
        return taken

    def close(self) -> None:
        self._stream.close()


@contextmanager
def connected(host: str, port: int, login: Login) -> Iterator[Connection]:
    """A connection that is let in. Raises OSError, AccessRefused."""
    with socket.create_connection((host, port), TIMEOUT_S) as plain, _secured(plain, host, login) as sock:
        connection = Connection(sock, f"{host}:{port}")
        try:
            if login.has_sasl:
                _log_in(connection, login)
            yield connection
        finally:
            connection.close()


def refuse_wrong_login(brokers: Brokers) -> None:
    """Raise AccessRefused, in words, where the brokers don't let this process in; a broker that is away is no refusal.

    librdkafka retries a refused login for ever and says so in its log alone.
    """
    for host, port in addresses(brokers.bootstrap):
        try:
            with connected(host, port, brokers.login) as connection:
                if not brokers.login.has_sasl:
                    _refuse_missing_login(connection, brokers.login)
                return
        except OSError:
            if brokers.login.has_tls:
                _refuse_plain_listener(host, port)


def refuse_hidden_topics(brokers: Brokers, names: Sequence[str]) -> None:
    """Raise AccessRefused where this principal may not see one of these topics: brokers leave it out of their lists
    without a word, so an answer about all of them would be one about the rest. A topic that is not there is not hidden.
    """
    if not brokers.login.has_sasl:
        return
    client = AdminClient({**brokers.configuration(), "log_level": 2})
    for name, future in client.describe_topics(TopicCollection(list(names)), request_timeout=TIMEOUT_S).items():
        try:
            future.result(2 * TIMEOUT_S)
        except KafkaException as error:
            if is_refusal(error.args[0]):
                raise AccessRefused(brokers.explained(error.args[0], f"see {name}")) from error


def _refuse_plain_listener(host: str, port: int) -> None:
    """A plain listener takes the greeting of TLS for an absurd length and hangs up, as a dying broker does."""
    try:
        with connected(host, port, OPEN) as connection:
            connection.ask(_request(_API_VERSIONS, 0))
    except (AccessRefused, OSError):
        return  # it does speak TLS, or is away
    raise AccessRefused(f"{host}:{port} speaks no TLS: set MILLRACE_KAFKA_SECURITY_PROTOCOL to what the brokers speak")


def addresses(bootstrap: str) -> list[tuple[str, int]]:
    """host:port,host:port → pairs."""
    pairs = (entry.strip().rpartition(":") for entry in bootstrap.split(","))
    return [(host.strip("[]"), int(port)) for host, _, port in pairs]


def _secured(plain: socket.socket, host: str, login: Login) -> socket.socket:
    if not login.has_tls:
        return plain
    try:
        return _tls_context(login).wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise AccessRefused(login.untrusted(error.verify_message)) from error


def _tls_context(login: Login) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=login.ca_file)
    except OSError as error:  # SSLError for a file that holds no certificate
        raise AccessRefused(f"no authority in {login.ca_file} ({error}): correct MILLRACE_KAFKA_CA_FILE") from error


def _log_in(connection: Connection, login: Login) -> None:
    """SaslHandshake, then SCRAM: both sides prove that they know the password, neither sends it (RFC 5802)."""
    _agree_on_mechanism(connection, login)
    client = ScramClient([login.mechanism], login.user, login.password.get_secret_value())
    try:
        client.set_server_first(_exchange(connection, login, client.get_client_first()))
        client.set_server_final(_exchange(connection, login, client.get_client_final()))
    except ScramException as error:
        raise AccessRefused(f"{login.wrong_password()} (the brokers' own proof is wrong: {error})") from error


def _agree_on_mechanism(connection: Connection, login: Login) -> None:
    error = _handshake_error(connection, login)
    if error == _UNSUPPORTED_SASL_MECHANISM:
        raise AccessRefused(f"the brokers don't offer {login.mechanism}: set MILLRACE_KAFKA_SASL_MECHANISM to theirs")
    if error == _ILLEGAL_SASL_STATE:
        raise AccessRefused("this listener takes no login: set MILLRACE_KAFKA_SECURITY_PROTOCOL to what it speaks")
    if error:
        raise OSError(f"SaslHandshake: error {error}")


def _handshake_error(connection: Connection, login: Login) -> int:
    mechanism = login.mechanism.encode()
    answer = connection.ask(_request(_SASL_HANDSHAKE, 1) + struct.pack(">h", len(mechanism)) + mechanism)
    error: int = struct.unpack_from(">h", answer, 4)[0]
    return error


def _refuse_missing_login(connection: Connection, login: Login) -> None:
    """A listener that wants a login closes on everything else, and a client takes it for a broker that is away."""
    if _handshake_error(connection, login) != _ILLEGAL_SASL_STATE:
        protocol = "SASL_SSL" if login.has_tls else "SASL_PLAINTEXT"
        raise AccessRefused(
            f"the brokers ask for a login and this client has none: set MILLRACE_KAFKA_SECURITY_PROTOCOL to {protocol},"
            " MILLRACE_KAFKA_USER and MILLRACE_KAFKA_PASSWORD_FILE"
        )


def _exchange(connection: Connection, login: Login, message: str) -> str:
    content = message.encode()
    answer = connection.ask(_request(_SASL_AUTHENTICATE, 0) + struct.pack(">i", len(content)) + content)
    error, said = struct.unpack_from(">hh", answer, 4)
    if error == _SASL_AUTHENTICATION_FAILED:
        raise AccessRefused(login.wrong_password())
    if error:
        raise OSError(f"SaslAuthenticate: error {error}")
    at = 8 + max(0, said)
    (length,) = struct.unpack_from(">i", answer, at)
    return answer[at + 4 : at + 4 + length].decode()


def _request(api_key: int, version: int) -> bytes:
    """The header of a request in the old encoding; its answer's header is the correlation id alone."""
    return struct.pack(">hhih", api_key, version, 1, len(CLIENT_ID)) + CLIENT_ID
