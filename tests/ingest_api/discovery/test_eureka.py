"""Goal: clients of Eureka register, are kept alive, find each other and leave, and nobody speaks for another.

Method: py-eureka-client and Netflix's own Java client, as they are published, against a running API process.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from lxml import etree
from py_eureka_client import eureka_basic as python_client

from ingest_api.discovery.instance import METADATA_MAX
from ingest_api.discovery.presence import APP, own_instance
from ingest_api.identity.tokens import Scope, issue_token
from millrace.environment.brokers.java import find_java
from millrace.environment.downloads import fetch_all, parse_pinned_list
from millrace.environment.layout import cache_of
from runtime.settings import Settings
from tests.ingest_api.client import ApiClient, problem_of
from tests.support.waiting import eventually

JAVA = Path(__file__).parent / "java"
PATIENCE_S = 120
_WAIT_PAST_LEASE = "UPDATE service_instances SET renewed_at = renewed_at - interval '1 hour' WHERE app = %s RETURNING 1"


@pytest.fixture(scope="module")
def eureka(settings: Settings, api_url: str) -> str:
    """Base URL with an API key as the user, as clients of Eureka want it."""
    return f"{keyed(settings, api_url, 'tills')}/eureka"


def keyed(settings: Settings, api_url: str, name: str) -> str:
    """The API's URL with a fresh key of a service of its own."""
    owner = issue_token(
        settings, f"{name}-operator", [Scope.API_KEYS_WRITE, Scope.SERVICES_READ, Scope.SERVICES_WRITE], 600
    )
    asked = {"name": name, "scopes": [Scope.SERVICES_READ, Scope.SERVICES_WRITE]}
    made = httpx.post(f"{api_url}/v1/api-keys", json=asked, headers={"Authorization": f"Bearer {owner}"})
    assert made.status_code == 201, made.text
    return f"http://{made.json()['secret']}:-@{urlsplit(api_url).netloc}"


@pytest.fixture
def json_caller(eureka: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=eureka, headers={"Accept": "application/json"}, timeout=40) as http:
        yield http


def registration(name: str, **changes: Any) -> dict[str, Any]:
    instance = {
        "instanceId": f"{name}-1",
        "app": name,
        "hostName": "localhost",
        "ipAddr": "127.0.0.1",
        "port": {"$": "7000", "@enabled": "true"},
        "status": "UP",
    }
    return {"instance": instance | changes}


async def test_a_python_client_registers_finds_itself_and_leaves(eureka: str) -> None:
    instance = {
        **registration("PY-TILL", vipAddress="py-tills", metadata={"zone": "a"})["instance"],
        "dataCenterInfo": {"@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn"},
        "leaseInfo": {"renewalIntervalInSecs": 30, "durationInSecs": 90},
        "lastDirtyTimestamp": "1700000000000",
    }
    name = "PY-TILL", "PY-TILL-1"
    await python_client._register(eureka, instance)
    await python_client.send_heartbeat(eureka, *name, 1_700_000_000_000)
    found = await python_client.get_app_instance(eureka, *name)
    assert (found.status, found.port.port, found.metadata) == ("UP", 7000, {"zone": "a"})
    everyone = await python_client.get_applications(eureka)
    assert [one.instanceId for one in everyone.get_application("PY-TILL").instances] == ["PY-TILL-1"]
    assert everyone.get_application(APP).instances
    by_vip = await python_client.get_vip(eureka, "py-tills")
    assert len(by_vip.get_application("PY-TILL").instances) == 1
    await python_client.status_update(eureka, *name, 1_700_000_000_000, "OUT_OF_SERVICE")
    assert (await python_client.get_app_instance(eureka, *name)).status == "OUT_OF_SERVICE"
    await python_client.delete_status_override(eureka, *name, 1_700_000_000_000)
    assert (await python_client.get_app_instance(eureka, *name)).status == "UP"
    await python_client.cancel(eureka, *name)
    (gone,) = (await python_client.get_delta(eureka)).get_application("PY-TILL").instances
    assert gone.actionType == "DELETED"


def test_netflix_own_client_registers_finds_itself_and_leaves(
    settings: Settings, eureka: str, json_caller: httpx.Client, tmp_path: Path
) -> None:
    repository = cache_of(settings) / "maven"
    jars = parse_pinned_list((JAVA / "jars.txt").read_text())
    fetch_all(jars, settings.maven_url, repository)
    (compiler,) = (str(repository / jar.path) for jar in jars if "/ecj/" in jar.path)
    class_path = ":".join([str(tmp_path), *(str(repository / jar.path) for jar in jars)])
    runtime = str(find_java().executable)
    compiled = [runtime, "-jar", compiler, "-17", "-proc:none", "-cp", class_path, "-d", str(tmp_path)]
    subprocess.run([*compiled, str(JAVA / "Till.java")], check=True, timeout=PATIENCE_S)
    with subprocess.Popen(
        [runtime, "-XX:TieredStopAtLevel=1", "-cp", class_path, "Till", f"{eureka}/"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as till:
        assert till.stdout is not None
        said = next((line for line in till.stdout if line.startswith("JAVA-TILL")), "")
        if not said:
            _, errors = till.communicate(timeout=PATIENCE_S)
            raise AssertionError(errors[-3000:])
        assert said.split() == ["JAVA-TILL", "localhost:7070"]
        assert json_caller.get("/apps/JAVA-TILL/java-till-1").json()["instance"]["status"] == "UP"
        till.communicate("leave\n", timeout=PATIENCE_S)
        assert till.returncode == 0
    assert json_caller.get("/apps/JAVA-TILL").status_code == 404


def test_who_asks_in_xml_is_answered_so_and_no_document_does_harm(eureka: str, json_caller: httpx.Client) -> None:
    document = """<instance><instanceId>xml-1</instanceId><hostName>localhost</hostName><app>xml</app>
        <ipAddr>127.0.0.1</ipAddr><status>STARTING</status><port enabled="true">7001</port>
        <securePort enabled="false">7002</securePort><metadata><zone>b</zone></metadata></instance>"""
    xml = {"Content-Type": "application/xml", "Accept": "application/xml"}
    assert json_caller.post("/apps/XML", content=document, headers=xml).status_code == 204
    shown = etree.fromstring(json_caller.get("/apps/xml", headers=xml).content)
    assert shown.findtext("instance/status") == "STARTING"
    assert shown.xpath("instance/port/@enabled") == ["true"]
    assert json_caller.get("/apps/XML/xml-1").json()["instance"]["metadata"] == {"zone": "b"}
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>' + document.replace("xml-1", "&b;")
    for refused in (bomb, "<instance>", "{}", "<instance><app>XML</app></instance>"):
        assert json_caller.post("/apps/XML", content=refused, headers=xml).status_code in {400, 422}


@pytest.mark.parametrize(
    "wrong",
    [
        {"instanceId": "with a space"},
        {"ipAddr": "localhost"},
        {"port": {"$": 70_000, "@enabled": "true"}},
        {"port": {"$": 7_000, "@enabled": "false"}},
        {"leaseInfo": {"durationInSecs": 1_000_000}},
        {"homePageUrl": "javascript:alert(1)"},
        {"metadata": {f"key{number}": "" for number in range(METADATA_MAX + 1)}},
        {"metadata": {"<script>": "x"}},
        {"app": "OTHER"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_the_registry_does_not_keep_is_refused(json_caller: httpx.Client, wrong: dict[str, Any]) -> None:
    assert json_caller.post("/apps/WRONG", json=registration("WRONG", **wrong)).status_code == 422
    assert json_caller.get("/apps/WRONG").status_code == 404


def test_nobody_speaks_for_another(
    settings: Settings, api_url: str, json_caller: httpx.Client, api: ApiClient, caller_with: Any
) -> None:
    path, body = "/apps/OWNED/OWNED-1", registration("OWNED")
    assert json_caller.post("/apps/OWNED", json=body).status_code == 204
    with httpx.Client(base_url=f"{keyed(settings, api_url, 'strangers')}/eureka", timeout=40) as stranger:
        problem_of(stranger.post("/apps/OWNED", json=body), 409, "instance_taken")
        changes = [stranger.put(path), stranger.delete(path), stranger.put(f"{path}/metadata?zone=c")]
        changes.append(stranger.put(f"{path}/status?value=DOWN"))
        assert {answer.status_code for answer in changes} == {404}
        problem_of(stranger.post(f"/apps/{APP}", json=registration(APP)), 409, "instance_taken")
        disguised = registration("HONEST", vipAddress=APP.lower())
        problem_of(stranger.post("/apps/HONEST", json=disguised), 409, "instance_taken")
    assert api.http.put(f"/eureka{path}/status?value=DOWN").status_code == 200, "an operator may"
    assert json_caller.get(path).json()["instance"]["status"] == "DOWN"
    for method, where in (("GET", "/eureka/apps"), ("PUT", f"/eureka{path}"), ("GET", "/v1/services")):
        assert caller_with(Scope.PAYMENTS_READ).http.request(method, where).status_code == 403
        assert httpx.request(method, api_url + where).status_code == 401


def test_whoever_is_not_heard_of_is_gone(settings: Settings, json_caller: httpx.Client, api: ApiClient) -> None:
    assert json_caller.post("/apps/SILENT", json=registration("SILENT")).status_code == 204
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        assert connection.execute(_WAIT_PAST_LEASE.encode(), ("SILENT",)).fetchone() is not None
    assert json_caller.get("/apps/SILENT").status_code == 404
    problem_of(json_caller.put("/apps/SILENT/SILENT-1"), 404, "instance_not_found")
    assert json_caller.post("/apps/SILENT", json=registration("SILENT")).status_code == 204
    named = {service["name"]: service["instances"] for service in api.get("/v1/services").json()["services"]}
    assert [one["id"] for one in named["SILENT"]] == ["SILENT-1"]
    eventually(lambda: own_instance(settings).instance_id in str(api.get("/v1/services").json()))
