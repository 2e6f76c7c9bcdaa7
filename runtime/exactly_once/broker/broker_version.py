"""Refuses brokers that are known to lose commit markers, before the first transaction.

The wire names no release; it names the highest metadata.version a broker supports, and that tells the minor release.
"""

import time

from runtime.exactly_once.broker import wire
from runtime.kafka_client import Brokers
from runtime.kafka_login import addresses

API_VERSIONS = 18

FEATURE_LEVELS_OF_4_3 = range(30, 31)
"""metadata.version levels first shipped by 4.3 (server-common's MetadataVersion)."""

START_DEADLINE_S = 60.0
"""A broker that was killed answers after 4 s, on a busy machine after 16. Waiting here is quicker than ending: the next
start would load the program again, 1-4 s, and may wait for its turn at the supervisor."""

RETRY_S = 0.1


def refuse_broken_broker(brokers: Brokers, *, accept: bool) -> None:
    """Wait for a broker; raise RuntimeError for one of the 4.3 line unless `accept` is set, OSError where none answers,
    AccessRefused where they don't let this process in.

    4.3.0 and 4.3.1 drop the markers of a partition without a leader and call the transaction complete (KAFKA-20734):
    committed records can be lost, aborted ones become visible. 4.2.1 is right in both cases.
    """
    level = _level_of_the_first_to_answer(brokers)
    if level in FEATURE_LEVELS_OF_4_3 and not accept:
        raise RuntimeError(
            f"broker {brokers.bootstrap} is of the Kafka 4.3 line (metadata.version {level}); 4.3.0 and 4.3.1 can"
            " lose commit markers (KAFKA-20734). Run 4.2.1, or set MILLRACE_ACCEPT_BROKER_VERSION=true for one that has"
            " the fix"
        )


def _level_of_the_first_to_answer(brokers: Brokers) -> int:
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        try:
            return metadata_level(brokers)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(RETRY_S)


def metadata_level(brokers: Brokers) -> int:
    """The highest metadata.version that the first reachable broker supports. Raises OSError when none answers."""
    failure: OSError | None = None
    for host, port in addresses(brokers.bootstrap):
        address = wire.Address(host, port, brokers.login)
        try:
            answer = wire.ask(
                address, API_VERSIONS, 3, wire.text("millrace") + wire.text("1") + b"\0", header_tags=False
            )
            return supported_level(answer)
        except OSError as unreachable:
            failure = unreachable
    raise OSError(f"no broker of {brokers.bootstrap} answers: {failure}")


def supported_level(answer: wire.Reader) -> int:
    """The upper bound of metadata.version in an ApiVersions answer. Raises RuntimeError when the broker says none."""
    error = answer.number("h")
    answer.array(lambda: (answer.number("h"), answer.number("h"), answer.number("h"), answer.tags()))
    answer.number("i")  # throttle
    features = wire.Reader(answer.tags().get(0, b"\1"))
    for name, level in features.array(lambda: _read_feature(features)):
        if name == "metadata.version":
            return level
    raise RuntimeError(f"the broker names no metadata.version (error {error}): Kafka 4 in KRaft mode is required")


def _read_feature(features: wire.Reader) -> tuple[str, int]:
    name, _, level = features.text(), features.number("h"), features.number("h")
    features.tags()
    return name, level
