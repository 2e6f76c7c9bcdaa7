"""What makes a local broker take TLS and SASL alone, and grant nothing that no rule grants.

Between brokers and from clients: SCRAM-SHA-512 over TLS. Towards the controllers: PLAIN over TLS, because SCRAM's
credentials stand in the metadata log, which controllers can only read once they have let each other in (KIP-900).
"""

from collections.abc import Sequence

from millrace.environment.layout import Home
from millrace.environment.security.credentials import USERS
from schemas.access import ADMINISTRATOR

CLIENT_LISTENER = "SASL_SSL"

_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"


def secured_properties(home: Home) -> dict[str, object]:
    """Instead of what a plain broker has under these names."""
    password = home.password(ADMINISTRATOR).read_text()
    login = f'required username="{ADMINISTRATOR}" password="{password}"'
    return {
        "inter.broker.listener.name": CLIENT_LISTENER,
        "listener.security.protocol.map": f"CONTROLLER:SASL_SSL,{CLIENT_LISTENER}:SASL_SSL",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{_SCRAM} {login};",
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": f'{_PLAIN} {login} user_{ADMINISTRATOR}="{password}";',
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": home.broker_certificate,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": home.authority,
        "ssl.enabled.protocols": "TLSv1.3",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": f"User:{ADMINISTRATOR}",
    }


def user_arguments(home: Home) -> list[str]:
    """What the storage tool makes the users from when it formats."""
    found = []
    for user in USERS:
        password = home.password(user).read_text()
        found += ["--add-scram", f'SCRAM-SHA-512=[name="{user}",password="{password}"]']
    return found


def argument_file(arguments: Sequence[str]) -> str:
    """The content of a file that `java @file` takes its command line from: everybody can see a process's own."""
    return "".join(f"'{argument}'\n" for argument in arguments)
