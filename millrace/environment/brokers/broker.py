"""Real Kafka brokers on loopback: pinned jars, KRaft properties, formatted storage, one service per broker.

Reads the pinned list and the settings; keeps jars and class archives in the cache; writes properties, log configuration
and storage below the home. Guarantees the same cluster id and node ids over restarts of one home.
"""

import base64
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from millrace.environment import downloads
from millrace.environment.brokers.java import ClassArchives, Java, class_archives, find_java
from millrace.environment.brokers.properties import broker_properties, log_configuration
from millrace.environment.brokers.secured import argument_file, secured_properties, user_arguments
from millrace.environment.faults import EnvironmentFault, StartFault
from millrace.environment.layout import Home, cache_of
from millrace.environment.ports import LOOPBACK
from millrace.environment.progress import Progress
from millrace.environment.security.certificates import ensure_certificates
from millrace.environment.security.credentials import ensure_passwords
from millrace.supervisor.service import KafkaProbe, Service
from runtime.settings import Settings
from schemas.access import ADMINISTRATOR

_HEAP_FLAGS = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""C1 alone and the serial collector: ready in 1 s, 200 MB resident. Long measurements override them by
`Settings.broker_jvm_flags`."""

_SECURED_FLAGS = ("-XX:TieredStopAtLevel=4",)
"""C2 alone knows the processor's AES: with C1 a broker spent five times as much per payment on TLS as without."""

_STOP_TIMEOUT_MS = 20_000  # 0.3 s measured; a first run also writes the class archive (4 s)
_FORMAT_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class KafkaDistribution:
    """Java, the jars, and the archives that fit them."""

    java: Java
    class_path: str
    archives: ClassArchives


def kafka_artifacts() -> tuple[downloads.Artifact, ...]:
    """The pinned jars."""
    return downloads.parse_pinned_list((files("millrace.environment.brokers") / "jars.txt").read_text())


def obtain(settings: Settings, progress: Progress) -> KafkaDistribution:
    """Find Java and bring the jars into the cache. Raises EnvironmentFault where either can't be had."""
    java = find_java()
    cache = cache_of(settings)
    repository, artifacts = cache / "maven", kafka_artifacts()
    absent = downloads.missing(artifacts, repository)
    if absent:
        with progress.bytes("Kafka jars", sum(artifact.size_bytes for artifact in absent)) as on_bytes:
            downloads.fetch_all(absent, settings.maven_url, repository, on_bytes)
    class_path = ":".join(str(repository / artifact.path) for artifact in artifacts)
    archives = class_archives(java, class_path, cache)
    archives.prepare()
    return KafkaDistribution(java, class_path, archives)


def bootstrap_of(settings: Settings, brokers: int) -> str:
    """Addresses of the local brokers."""
    return ",".join(f"{LOOPBACK}:{settings.kafka_port + 100 * index}" for index in range(brokers))


def broker_services(settings: Settings, home: Home, kafka: KafkaDistribution, brokers: int) -> list[Service]:
    """Write each broker's configuration, format its storage once, and describe how to run it."""
    _refuse_other_size(home, brokers)
    _refuse_other_security(home, secure=settings.secure)
    if settings.secure:
        home.security.mkdir(mode=0o700, exist_ok=True)
        ensure_certificates(home)
        ensure_passwords(home)
    cluster_id = _cluster_id(home)
    services = []
    for node_id in range(1, brokers + 1):
        folder = home.broker(node_id)
        _configure(settings, home, node_id, brokers)
        if not (folder / "data" / "meta.properties").exists():
            _format(kafka, home, folder, cluster_id, secure=settings.secure)
        services.append(_service(settings, home, kafka, node_id, brokers))
    return services


def broker_name(node_id: int, brokers: int) -> str:
    """`broker`, or `broker-2` where there are several."""
    return "broker" if brokers == 1 else f"broker-{node_id}"


def _refuse_other_size(home: Home, brokers: int) -> None:
    """The voters of a KRaft quorum are fixed when it is made."""
    existing = len(list((home.root / "kafka").glob("broker-*/data/meta.properties")))
    if existing not in {0, brokers}:
        raise EnvironmentFault(
            f"{home.root} holds a cluster of {existing}: start it with --brokers {existing},"
            " or `millrace down --wipe` first (that deletes its records)"
        )


def _refuse_other_security(home: Home, *, secure: bool) -> None:
    """Users are made when storage is formatted, and rights that were granted must not be dropped by a flag."""
    if not any((home.root / "kafka").glob("broker-*/data/meta.properties")):
        return
    was_secure = home.authority_key.exists()
    if was_secure and not secure:
        raise EnvironmentFault(
            f"{home.root} holds a secured cluster: start it with --secure (or MILLRACE_SECURE=true),"
            " or `millrace down --wipe` first (that deletes its records)"
        )
    if secure and not was_secure:
        raise EnvironmentFault(
            f"{home.root} holds a cluster without security: start it without --secure,"
            " or `millrace down --wipe` first (that deletes its records)"
        )


def _cluster_id(home: Home) -> str:
    path = home.root / "kafka" / "cluster.id"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        home.write(path, new_cluster_id().encode())
    return path.read_text()


def new_cluster_id() -> str:
    """22 letters as Kafka makes them: never with a dash in front, which its tools would take for an option."""
    while True:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        if not cluster_id.startswith("-"):
            return cluster_id


def _configure(settings: Settings, home: Home, node_id: int, brokers: int) -> None:
    folder = home.broker(node_id)
    folder.mkdir(parents=True, exist_ok=True)
    secured = secured_properties(home) if settings.secure else None
    properties = broker_properties(settings.kafka_port, node_id, brokers, folder / "data", secured)
    home.write(folder / "server.properties", properties.encode())
    log = home.logs / f"{broker_name(node_id, brokers)}.kafka.log"
    home.write(folder / "log4j2.xml", log_configuration(log).encode())


def _format(kafka: KafkaDistribution, home: Home, folder: Path, cluster_id: str, *, secure: bool) -> None:
    command = _java(kafka, ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *kafka.archives.flags(record=False)], folder)
    storage_tool = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(folder / "server.properties")]
    arguments = [*command, *storage_tool, "--ignore-formatted", *(user_arguments(home) if secure else [])]
    argument_path = folder / "format.arguments"
    home.write(argument_path, argument_file(arguments[1:]).encode())
    try:
        done = subprocess.run(
            [arguments[0], f"@{argument_path}"], capture_output=True, text=True, timeout=_FORMAT_TIMEOUT_S, check=False
        )
    finally:
        argument_path.unlink()
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise StartFault(f"Kafka could not format {folder / 'data'}: {lines[-1]}")


def _service(settings: Settings, home: Home, kafka: KafkaDistribution, node_id: int, brokers: int) -> Service:
    folder = home.broker(node_id)
    recording = kafka.archives.flags(record=node_id == 1)
    secured = _SECURED_FLAGS if settings.secure else ()
    flags = [*_HEAP_FLAGS, *secured, *recording, *settings.broker_jvm_flags.split()]
    return Service(
        name=broker_name(node_id, brokers),
        argv=[*_java(kafka, flags, folder), "kafka.Kafka", str(folder / "server.properties")],
        group="infrastructure",
        ready=_probe(settings, home, f"{LOOPBACK}:{settings.kafka_port + 100 * (node_id - 1)}", brokers),
        stop_timeout_ms=_STOP_TIMEOUT_MS,
    )


def _probe(settings: Settings, home: Home, address: str, brokers: int) -> KafkaProbe:
    if not settings.secure:
        return KafkaProbe(address, brokers)
    return KafkaProbe(address, brokers, str(home.authority), ADMINISTRATOR, str(home.password(ADMINISTRATOR)))


def _java(kafka: KafkaDistribution, flags: Sequence[str], folder: Path) -> list[str]:
    configuration = f"-Dlog4j2.configurationFile={folder / 'log4j2.xml'}"
    return [str(kafka.java.executable), *flags, configuration, "-cp", kafka.class_path]
