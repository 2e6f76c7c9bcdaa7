"""Brings the brokers' rules to what schemas/access.py says: each principal may do what its stage needs, nothing else.

Reads and writes the rules of the table's principals; those of others are left alone. Needs the administrator's login.
"""

import time
from collections.abc import Iterable
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from runtime.exactly_once.broker import wire
from runtime.kafka_client import AccessRefused, Brokers
from runtime.kafka_login import refuse_wrong_login
from runtime.settings import Settings
from schemas.access import PRINCIPALS, Grant, Operation, Principal, Resource

_TIMEOUT_S: Final = 30
_ANY_HOST: Final = "*"
_DESCRIBE_ACLS: Final = 29

_RESOURCE_TYPES = {
    Resource.TOPIC: ResourceType.TOPIC,
    Resource.GROUP: ResourceType.GROUP,
    Resource.TRANSACTIONAL_ID: ResourceType.TRANSACTIONAL_ID,
    Resource.CLUSTER: ResourceType.BROKER,  # librdkafka's name for the one cluster
}
_OPERATIONS = {
    Operation.READ: AclOperation.READ,
    Operation.WRITE: AclOperation.WRITE,
    Operation.DESCRIBE: AclOperation.DESCRIBE,
    Operation.CLUSTER_ACTION: AclOperation.CLUSTER_ACTION,
}


def ensure_access(settings: Settings) -> tuple[int, int]:
    """Rules made and rules taken away. Does nothing at brokers that know no principals.

    Raises AccessRefused where this login may not do so, KafkaException where the brokers have no authorizer,
    TimeoutError where one of them does not take the rules over.
    """
    brokers = Brokers.of(settings)
    refuse_wrong_login(brokers)
    if not brokers.login.has_sasl:
        return 0, 0
    admin = AdminClient(brokers.configuration())
    try:
        changed = _bring_up_to_date(admin)
        _await_known(admin, brokers)
        return changed
    except KafkaException as error:
        cause: KafkaError = error.args[0]
        if cause.code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED:
            raise AccessRefused(_needs_administrator(settings)) from error
        raise


def binding(principal: Principal, grant: Grant) -> AclBinding:
    """One rule as the brokers keep it."""
    pattern = ResourcePatternType.PREFIXED if grant.prefixed else ResourcePatternType.LITERAL
    return AclBinding(
        _RESOURCE_TYPES[grant.resource],
        grant.name,
        pattern,
        f"User:{principal.name}",
        _ANY_HOST,
        _OPERATIONS[grant.operation],
        AclPermissionType.ALLOW,
    )


def bindings(principals: Iterable[Principal] = PRINCIPALS) -> set[AclBinding]:
    """The whole table."""
    return {binding(principal, grant) for principal in principals for grant in principal.grants}


def _bring_up_to_date(admin: AdminClient) -> tuple[int, int]:
    wanted, found = bindings(), _existing(admin)
    missing, surplus = wanted - found, found - wanted
    _await(admin.create_acls(list(missing), request_timeout=_TIMEOUT_S) if missing else {})
    _await(admin.delete_acls([exact_filter(rule) for rule in surplus], request_timeout=_TIMEOUT_S) if surplus else {})
    return len(missing), len(surplus)


def _await_known(admin: AdminClient, brokers: Brokers) -> None:
    """Until each broker applies the whole table: the controller answers before the others have read its log.

    Raises TimeoutError.
    """
    give_up_at = time.monotonic() + _TIMEOUT_S
    members = admin.list_topics(timeout=_TIMEOUT_S).brokers.values()
    for member in members:
        address = wire.Address(member.host, member.port, brokers.login)
        while not bindings() <= known_to(address):
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"{member.host}:{member.port} has not taken the rights over in {_TIMEOUT_S} s")
            time.sleep(0.05)


def known_to(address: wire.Address) -> set[AclBinding]:
    """The rules that this very broker applies; a client's question goes to any of them. Raises OSError."""
    any_type, any_name, any_pattern, any_rule = b"\1", b"\0", b"\1", b"\0\0\1\1"
    answer = wire.ask(address, _DESCRIBE_ACLS, 2, any_type + any_name + any_pattern + any_rule + b"\0")
    answer.number("i")  # throttle
    error, said = answer.number("h"), answer.string()
    if error:
        raise OSError(f"DescribeAcls: error {error} {said or ''}")
    found: set[AclBinding] = set()
    answer.array(lambda: _read_resource(answer, found))
    return found


def _read_resource(answer: wire.Reader, found: set[AclBinding]) -> None:
    kind, name, pattern = ResourceType(answer.number("b")), answer.text(), ResourcePatternType(answer.number("b"))

    def read_rule() -> None:
        principal, host = answer.text(), answer.text()
        operation, permission = AclOperation(answer.number("b")), AclPermissionType(answer.number("b"))
        found.add(AclBinding(kind, name, pattern, principal, host, operation, permission))
        answer.tags()

    answer.array(read_rule)
    answer.tags()


def _existing(admin: AdminClient) -> set[AclBinding]:
    """Every rule for a principal of ours."""
    every = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    ours = {f"User:{principal.name}" for principal in PRINCIPALS}
    rules = admin.describe_acls(every, request_timeout=_TIMEOUT_S).result(_TIMEOUT_S)
    return {rule for rule in rules if rule.principal in ours}


def exact_filter(rule: AclBinding) -> AclBindingFilter:
    """Matches this rule alone."""
    return AclBindingFilter(
        rule.restype,
        rule.name,
        rule.resource_pattern_type,
        rule.principal,
        rule.host,
        rule.operation,
        rule.permission_type,
    )


def _await(futures: dict[Any, Any]) -> None:
    for future in futures.values():
        future.result(_TIMEOUT_S)


def _needs_administrator(settings: Settings) -> str:
    return (
        f"principal {settings.kafka_user} may not make topics or grant rights: run `millrace topics` with the"
        " administrator's login (MILLRACE_KAFKA_USER, MILLRACE_KAFKA_PASSWORD_FILE)"
    )
