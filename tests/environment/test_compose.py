"""Goal: `docker compose up` gives the same topology as `millrace up`.

Method: the file is compared with the services, the broker's properties, Postgres' settings and the ports that the local
environment uses; where the compose plugin is installed, it also has to accept the file.
"""

import inspect
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from millrace import cli
from millrace.environment.brokers.broker import kafka_artifacts
from millrace.environment.brokers.properties import FIXED, broker_properties
from millrace.environment.database.server import SETTINGS
from millrace.services import pipeline_services
from runtime.settings import Settings
from tests.tidy.sources import ROOT

_FILE = ROOT / "docker-compose.yml"
_TWO_WORKERS = Settings(workers=2, stripe_api_key_file=Path("/run/secrets/stripe_api_key"))
"""The file shows how a second slot is added."""

_RENAMED = {"broker": "kafka", "api-0": "api"}
_OWN_NETWORK = {
    "listener.security.protocol.map",
    "log.dirs",
    "controller.quorum.voters",
    "listeners",
    "advertised.listeners",
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(_FILE.read_text())
    return parsed


def test_it_runs_the_services_of_the_local_environment(compose: dict[str, Any]) -> None:
    local = ["broker", "postgres", *(service.name for service in pipeline_services(_TWO_WORKERS))]
    assert set(compose["services"]) == {_RENAMED.get(name, name) for name in local} | {"stripe-sandbox", "gateway"}


def test_each_service_runs_the_same_command(compose: dict[str, Any]) -> None:
    for service in pipeline_services(_TWO_WORKERS):
        described = compose["services"][_RENAMED.get(service.name, service.name)]
        assert service.argv[-len(described["command"]) :] == described["command"]
        for name, value in service.env.items():
            assert described["environment"][name] == value, (service.name, name)


def test_the_broker_is_the_pinned_release(compose: dict[str, Any]) -> None:
    versions = {artifact.path.split("/")[4] for artifact in kafka_artifacts() if "org/apache/kafka/" in artifact.path}
    assert versions == {compose["services"]["kafka"]["image"].rpartition(":")[2]}


def test_the_broker_is_configured_as_the_local_one(compose: dict[str, Any]) -> None:
    environment = compose["services"]["kafka"]["environment"]
    local = dict(line.split("=", 1) for line in broker_properties(19_092, 1, 1, Path("unused")).splitlines())
    assert set(FIXED) <= set(local)
    for name in set(local) - _OWN_NETWORK:
        assert environment[f"KAFKA_{name.replace('.', '_').upper()}"] == local[name], name


def test_postgres_is_configured_as_the_local_one(compose: dict[str, Any]) -> None:
    given = set(compose["services"]["postgres"]["command"][1:])
    own_network = {"listen_addresses", "unix_socket_directories"}
    assert given == {f"--{name}={value}" for name, value in SETTINGS.items() if name not in own_network}
    assert "--data-checksums" in compose["services"]["postgres"]["environment"]["POSTGRES_INITDB_ARGS"]


def test_ports_are_those_of_the_settings_and_on_loopback(compose: dict[str, Any]) -> None:
    published = {name: service.get("ports", []) for name, service in compose["services"].items()}
    fields = Settings.model_fields
    for name, field in (
        ("kafka", "kafka_port"),
        ("postgres", "postgres_port"),
        ("api", "api_port"),
        ("gateway", "gateway_port"),
    ):
        assert [port.rpartition(":")[0] for port in published[name]] == [f"127.0.0.1:{fields[field].default}"]
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_the_connectors_charge_nobody_until_they_are_told_to(compose: dict[str, Any]) -> None:
    connectors, sandbox = compose["services"]["connectors"], compose["services"]["stripe-sandbox"]
    port = sandbox["ports"][0].rpartition(":")[2]
    told = connectors["environment"]
    assert told["MILLRACE_STRIPE_URL"] == f"${{MILLRACE_STRIPE_URL:-http://stripe-sandbox:{port}}}"
    [secret] = connectors["secrets"]
    assert told["MILLRACE_STRIPE_API_KEY_FILE"] == f"/run/secrets/{secret}"
    default = compose["secrets"][secret]["file"].removeprefix("${MILLRACE_STRIPE_API_KEY_FILE:-").removesuffix("}")
    assert (ROOT / default).read_text().startswith("sk_test_")
    given = inspect.signature(cli.stripe).parameters
    assert (sandbox["command"][:2], port) == (["sandbox", "stripe"], str(given["port"].default))
    assert {name.removeprefix("--") for name in sandbox["command"] if name.startswith("--")} <= set(given)


def test_every_variable_is_a_setting(compose: dict[str, Any]) -> None:
    known = {f"MILLRACE_{name.upper()}" for name in Settings.model_fields}
    for name, service in compose["services"].items():
        ours = {variable for variable in service.get("environment", {}) if variable.startswith("MILLRACE_")}
        assert ours <= known, name


def test_what_is_referred_to_exists(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert set(service.get("depends_on", {})) <= set(compose["services"]), name
        named = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert named <= set(compose["volumes"]), name
        if build := service.get("build"):
            assert (ROOT / build["dockerfile"]).exists()


def test_what_waits_for_health_has_a_health_check(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for dependency, terms in service.get("depends_on", {}).items():
            if terms["condition"] == "service_healthy":
                assert compose["services"][dependency]["healthcheck"]["test"]


def test_the_image_runs_the_command_as_a_normal_user() -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    assert re.search(r'^ENTRYPOINT \["millrace"\]$', dockerfile, re.MULTILINE)
    users = re.findall(r"^USER (\S+)$", dockerfile, re.MULTILINE)
    assert users
    assert users[-1] != "root"


def _has_compose_plugin() -> bool:
    try:
        return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not _has_compose_plugin(), reason="the checks above stand in for the missing compose plugin")
def test_docker_compose_accepts_the_file() -> None:
    command = ["docker", "compose", "--file", str(_FILE), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
