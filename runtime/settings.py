"""The one settings object. Every process reads its environment once, here, at start."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import SettingsConfigDict

from runtime.notice_settings import NoticeSettings


def local_database_url(home: Path, port: int) -> str:
    """Where the local Postgres answers. libpq reads the password from the 0600 file, so the URL may be shown."""
    passfile = quote(str(home.absolute() / "postgres.pgpass"))
    return f"postgresql://millrace@127.0.0.1:{port}/millrace?passfile={passfile}"


class Settings(NoticeSettings):
    """Frozen; each field can be set by `MILLRACE_<FIELD>`. Times are milliseconds where the name says so."""

    model_config = SettingsConfigDict(
        env_prefix="MILLRACE_", env_ignore_empty=True, frozen=True, extra="ignore", populate_by_name=True
    )

    home: Path = Path(".millrace")
    """Where a local environment keeps all of its state (logs, data, keys, pids)."""

    kafka_port: int = Field(19_092, ge=1, le=65_534)
    """First port of the local broker; its controller takes the next one, further brokers follow at +100 each."""

    postgres_port: int = Field(15_432, ge=1, le=65_535)
    kafka_bootstrap: str = Field(
        default_factory=lambda fields: f"127.0.0.1:{fields['kafka_port']}",
        validation_alias=AliasChoices("MILLRACE_KAFKA_BOOTSTRAP", "KAFKA_BOOTSTRAP"),
    )
    """Set = these brokers are used; unset = the local environment starts its own."""

    secure: bool = False
    """The local environment's brokers take TLS and SASL/SCRAM alone and grant each stage what its topics need."""

    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_ca_file: Path | None = None
    """PEM of the authority that signed the brokers' certificates; unset = the system's authorities."""

    kafka_sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256"] = "SCRAM-SHA-512"
    kafka_user: str = ""
    """The principal of this process. docs/security.md has one for each stage."""

    kafka_password: SecretStr | None = None
    kafka_password_file: Path | None = None
    """Read at start, without the line's end. A file is better than a variable: children don't inherit it."""

    database_url: str = Field(
        default_factory=lambda fields: local_database_url(fields["home"], fields["postgres_port"]),
        validation_alias=AliasChoices("MILLRACE_DATABASE_URL", "DATABASE_URL"),
    )
    """Set = this server is used; unset = the local environment starts its own."""

    cache_dir: Path | None = None
    """Where downloads are kept; unset = the user's cache folder (root: /var/cache/millrace)."""

    maven_url: str = "https://repo.maven.apache.org/maven2"
    broker_jvm_flags: str = ""
    """Appended to the local broker's JVM flags, so they win; for example `-Xmx1g -XX:+UseG1GC`."""

    shards: int = Field(4, ge=1, le=4096)
    """Partitions of every topic keyed by account. Fixed when the topics are made; growth = replay into new topics.
    4 on one machine: each partition that a transaction touches costs about 0.4 ms and as much broker CPU."""

    replication_factor: int = Field(1, ge=1)
    slot: int = Field(0, ge=0)
    """Stable identity of this worker process: names its transactional.id and its static group membership."""

    state_dir: Path = Field(default_factory=lambda fields: fields["home"] / "state")
    """Where workers keep their shards, in a folder per slot. Losing it costs a restore from Kafka, nothing else."""

    workers: int = Field(1, ge=1)
    """About one per two cores: on two cores a second one costs more in transactions than it decides (at 100 payments/s
    p50 to the final outcome 34 ms with one worker, 66 ms with two; batch load 20,900/s against 14,600/s)."""

    transaction_timeout_ms: int = Field(10_000, ge=1_000)
    session_timeout_ms: int = Field(12_000, ge=2_000)
    """Longer than the transaction timeout: an orphaned transaction is gone when the partitions move."""

    tick_interval_ms: int = Field(1_000, ge=100)
    """How often a shard without traffic is told the time: 130 bytes of ledger a tick, 11 MB a day and shard."""

    cycle_max_ms: int = Field(50, ge=1)
    """Longest transaction under load; an idle worker commits as soon as its input is drained."""

    chunk_records: int = Field(1_000, ge=1)
    barrier_deadline_ms: int = Field(20_000, ge=100)
    """How long the agents may take over one delivery; beyond it the worker ends itself."""

    max_poll_interval_ms: int = Field(120_000, ge=1_000)
    group_protocol: Literal["classic", "consumer"] = "classic"
    """`consumer` is KIP-848: the broker assigns, and owns the session and heartbeat times."""

    partition_assignor: str = "range"
    """Any other assignor may give the topics of one shard to different workers: refused at start."""

    static_membership: bool = True
    """The slot rejoins after a restart without a rebalance; scale-in then waits for the session timeout."""

    accept_broker_version: bool = False
    """Run on a broker release known to lose commit markers (KAFKA-20734). Only for one that carries the fix."""

    failpoint: str = Field("", validation_alias=AliasChoices("EOS_FAILPOINT", "MILLRACE_FAILPOINT"))
    """`name:nth[:stop|:raise|:hold=SECONDS]`: the process breaks itself at that step. Fault tests only."""

    archive_dir: Path | None = None
    """Where closed segments of the log are kept for ever; unset = nothing is archived. Best on another disk than
    Kafka's; it has to know hard links."""

    archive_segment_bytes: int = Field(64 * 1024 * 1024, ge=1_024)
    """Values of a segment, uncompressed, after which it is closed; about half of that on disk."""

    archive_segment_age_ms: int = Field(3_600_000, ge=100, le=86_400_000)
    """A segment is closed when its first record is this old: so much is not archived yet at any time. At most a seventh
    of the shortest retention of an archived topic (7 days)."""

    connector_slots: int = Field(32, ge=1, le=100)
    """Calls to payment providers under way at a time, per process: at 1 s a call 32 a second. A provider's client has a
    hundred connections."""

    stripe_url: str = "https://api.stripe.com"
    stripe_api_key_file: Path | None = None
    """The secret key, alone in a file. Set = `stripe` is served, and `millrace up` runs the connectors."""

    banks: Literal["off", "public", "local"] = "off"
    """Which registered banks are called: `public` those of the internet over TLS, `local` any, for one's own machine
    and tests alone. Not off = `millrace up` runs the connectors, which need the keys of personal data."""

    webhook_slots: int = Field(64, ge=1, le=1_000)
    """Webhooks under way at a time, per process, at most 8 to one endpoint: at 100 ms an answer 640 a second."""

    webhook_ca_file: Path | None = None
    """PEM of the authorities that endpoints' certificates are checked with; unset = certifi's."""

    webhook_local_receivers: bool = False
    """Webhooks may go to private and loopback addresses, and by plain HTTP. For one's own machine and tests alone."""

    event_source: str = "urn:millrace"
    """`ce_source` of this installation's public events, a URI: other for each whose events meet somewhere."""

    stripe_return_url: str = ""
    """The shop's page to which a payer comes back from 3-D Secure; `payment_order_id` is added. Empty: Stripe names no
    page to act at, and only its own script in the shop's page can.
    """
    stripe_webhook_secret_file: Path | None = None
    """Secrets that Stripe signs its events with (`whsec_…`), one a line. Set: POST /v1/psp/stripe/webhooks is there."""

    scheduler_payments_per_s: int = Field(500, ge=10, le=10_000)
    """What one scheduler sends of what is due, at most: 1,000,000 standing orders of one midnight take 33 minutes, and
    500 are a fortieth of what one worker decides."""

    recon_plan_file: Path | None = None
    """What is reconciled every night, and which files are expected (docs/reconciliation.md). Set = `millrace up`
    follows the ledger and the files, and runs the nights; unset = neither."""

    api_host: str = "127.0.0.1"
    api_port: int = Field(8080, ge=1, le=65_535)
    api_processes: int = Field(1, ge=1)
    """They share the port. Behind the gateway each has its own, from api_port on, so that calls go where least is under
    way and each process is taken out by itself."""

    gateway: bool = False
    """`millrace up` runs nginx in front of the API processes (docs/gateway.md)."""

    gateway_host: str = "127.0.0.1"
    gateway_port: int = Field(8443, ge=1, le=65_535)
    gateway_certificate_file: Path | None = None
    """PEM, with the certificates between it and its authority; unset = one of the home's own, for loopback alone."""

    gateway_key_file: Path | None = None
    gateway_trusted_proxies: str = ""
    """Addresses and networks before the gateway whose X-Forwarded-For is believed, by commas."""

    gateway_requests_per_s: int = Field(2_000, ge=1, le=1_000_000)
    """Of one address, and as many more at once; beyond it: 429. A shop behind one address needs more than a person."""

    gateway_connections: int = Field(512, ge=1, le=65_535)
    """Of one address."""

    api_process_id: int = Field(0, ge=0, le=65_535)
    """Which partition of payments.replies this API process listens to."""

    api_queue_bytes: int = Field(64 * 1024 * 1024, ge=16 * 1024 * 1024)
    """Commands handed to the producer and not yet acknowledged, per process; beyond it: 503 + Retry-After.
    At least twice the largest batch (8 MiB of JSON)."""

    api_body_bytes: int = Field(128 * 1024 * 1024, ge=16 * 1024 * 1024)
    """Batches in work at a time, per process, in bytes of their bodies; beyond it: 503 + Retry-After."""

    api_delivery_timeout_ms: int = Field(10_000, ge=1_000)
    """A command that Kafka has not acknowledged by then is answered 503, outcome unknown."""

    api_waiting_calls: int = Field(20_000, ge=1)
    """Calls of one process that wait for their outcome; further ones are answered 202 at once."""

    api_connections: int = Field(8_192, ge=64)
    """Of one process, at most what its limit of open files leaves; further ones are answered 503."""

    api_connections_per_address: int = Field(2_048, ge=1)
    """Of one process. Trusted proxies have no limit of their own."""

    api_cors_origins: tuple[Annotated[str, Field(pattern=r"^https?://[a-z0-9.\-]+(:[0-9]{1,5})?$")], ...] = ()
    """As JSON: web pages on other hosts that browsers let call, `["https://console.example.com"]`. Empty = none."""

    api_client_commands_per_s: int = Field(50_000, ge=1)
    """Per client and process, refilled continuously; beyond it: 429 + Retry-After."""

    api_client_burst: int = Field(100_000, ge=10_000)
    """At least one whole batch of 10,000 lines."""

    terms_file: Path | None = None
    """Rates and fee schedules (TOML; docs/fx.md); read again when it has changed. Unset = neither is offered."""

    screening_names_needed: bool = False
    """Nobody gets a part in an account before PUT /v1/parties/{id} has told the user's names."""

    signup_account_currency: str = Field("", pattern="^([A-Z]{3})?$")
    """Whoever signs up gets a checking account in this currency; empty = accounts are opened by POST /v1/accounts."""

    api_balances_in_memory: int = Field(100_000, ge=0)
    """Accounts whose balance each process keeps up to date by the ledger, the ones that were asked for last; 0 = it
    reads no ledger, and Postgres answers. 360 bytes each, and 16 MiB of the ledger's last records."""

    api_database_connections: int = Field(8, ge=1, le=1_000)
    """Of one process, for reads. Two more look up keys, eleven at most do blocking work (runtime/postgres.py)."""

    api_database_writing_connections: int = Field(10, ge=1, le=1_000)
    """Of one process, for all registers together; each has four of them at most. Two more write the audit log."""

    api_drain_timeout_ms: int = Field(15_000, ge=1_000)
    """Longest graceful stop; longer than the delivery time-out, so that accepted calls get their answer."""

    api_drain_notice_ms: int = Field(default_factory=lambda fields: 3_000 if fields["gateway"] else 0, ge=0, le=60_000)
    """How long a process that was told to end still takes calls, while it is not ready any more: until gateways have
    noticed. Ours needs 0.2 s; one that asks for readiness needs its interval, times the failures that it allows."""

    api_advertised_host: str = ""
    """Where gateways and clients of the registry of services reach this process; unset = api_host, or the machine's
    name where that is every address."""

    personal_keys_file: Path | None = None
    """Keys of personal data (docs/personal_data.md), the same for every machine; unset = a file in the home's keys."""

    personal_keys: SecretStr | None = None
    """The content of such a file. A file is better than a variable: children don't inherit it."""

    auth_backend: Literal["own", "ldap"] = Field(
        "own", validation_alias=AliasChoices("AUTH_BACKEND", "MILLRACE_AUTH_BACKEND")
    )
    """Who checks passwords: the register of users, or a directory (docs/machine_access.md)."""

    ldap_url: str = "ldaps://localhost"
    """`ldaps://…`, or `ldap://…`, which then has to offer StartTLS."""

    ldap_ca_file: Path | None = None
    """PEM of the authority that signed the directory's certificate; unset = the system's."""

    ldap_bind_dn: str = ""
    """Who searches; empty = an anonymous bind."""

    ldap_bind_password_file: Path | None = None
    ldap_search_base: str = ""
    ldap_search_filter: str = "(uid={username})"
    """Active Directory: (sAMAccountName={username})."""

    ldap_id_attribute: str = "entryUUID"
    """Never changes, and is never given to somebody else. Active Directory: objectGUID."""

    ldap_group_base: str = ""
    """Unset = ldap_search_base."""

    ldap_group_filter: str = "(member={dn})"
    """Active Directory, with groups in groups: (member:1.2.840.113556.1.4.1941:={dn})."""

    ldap_roles: dict[str, str] = Field(default_factory=dict)
    """As JSON: a group's DN → the role of its members. Whoever is in none of them is not let in."""

    oidc_issuers: tuple[dict[str, Any], ...] = ()
    """As JSON: other issuers whose tokens are taken (docs/machine_access.md)."""

    api_public_url: str = ""
    """Where callers reach the API, with scheme and host: what signed requests (RFC 9421) and the description of the
    token endpoint name. Unset = as the call says, which is right where no gateway ends TLS."""

    api_token_issuer: str = "millrace"
    api_token_audience: str = "millrace-api"
    api_token_keys_file: Path | None = None
    """Signing keys of tokens, the same for every machine; unset = a file in the home's keys."""

    auth_access_token_s: int = Field(300, ge=30, le=300)
    auth_refresh_idle_s: int = Field(3_600, ge=60)
    """A session that is not refreshed for so long is over (NIST SP 800-63B-4 §2.2.3: an hour)."""

    auth_session_s: int = Field(86_400, ge=300)
    """After so long everybody logs in anew (the same: a day)."""

    auth_second_factor_s: int = Field(900, ge=60)
    """How long a second factor is good for what needs one."""

    auth_second_factor_above: int = Field(1_000, ge=0)
    """Money that leaves the installation needs a second factor above this many units of its currency (not minor ones):
    one figure for all, because few currencies are worth more than a euro, and none more than four."""

    auth_trusted_proxies: str = Field(default_factory=lambda fields: "127.0.0.1" if fields["gateway"] else "")
    """Addresses whose X-Forwarded-For is believed, by commas; logins are counted by the caller's address."""

    @model_validator(mode="after")
    def _check_relations(self) -> Self:
        if self.transaction_timeout_ms >= self.session_timeout_ms:
            raise ValueError(
                "transaction_timeout_ms must be below session_timeout_ms: an orphaned transaction has to end before"
                " its partitions move to another worker"
            )
        if self.cycle_max_ms * 20 > self.transaction_timeout_ms:
            raise ValueError("cycle_max_ms may be at most a twentieth of transaction_timeout_ms")
        if self.api_drain_timeout_ms <= self.api_delivery_timeout_ms:
            raise ValueError("api_drain_timeout_ms must exceed api_delivery_timeout_ms: accepted calls get an answer")
        if self.kafka_security_protocol.startswith("SASL") and not self._has_login():
            raise ValueError(
                "kafka_security_protocol must come with a login where it is SASL: set MILLRACE_KAFKA_USER and one of"
                " MILLRACE_KAFKA_PASSWORD_FILE and MILLRACE_KAFKA_PASSWORD"
            )
        if urlsplit(self.database_url).scheme not in {"postgresql", "postgres"}:
            raise ValueError("database_url must start with postgresql://")
        return self

    def variables(self) -> dict[str, str]:
        """Every setting by its own variable, secrets too: a child process reads what this one was made with."""
        return {variable(name): _plain(value) for name, value in self if value is not None}

    def _has_login(self) -> bool:
        return bool(self.kafka_user) and (self.kafka_password is None) != (self.kafka_password_file is None)


def variable(name: str) -> str:
    """What sets a field."""
    return f"MILLRACE_{name.upper()}"


def _plain(value: object) -> str:
    if isinstance(value, tuple | dict):
        return json.dumps(value)
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def setting_faults(error: ValidationError) -> list[str]:
    """One line per refused setting, with the variable that sets it. For the person who has to change it."""
    return [
        f"{_variable(fault['loc'])}{fault['msg'].removeprefix('Value error, ').removeprefix('Assertion failed, ')}"
        for fault in error.errors()
        if fault["type"] != "default_factory_not_called"  # follows from another fault; nobody set that variable
    ]


def _variable(place: tuple[int | str, ...]) -> str:
    """Fields are known by name or by alias; a relation of several settings has no place, and names them itself."""
    if not place:
        return ""
    name = str(place[0])
    return f"{name if name.isupper() else variable(name)}: "
