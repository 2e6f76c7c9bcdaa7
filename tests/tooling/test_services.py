"""Goal: what `millrace up` runs follows from the settings: which processes, in which order, with which limits."""

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from typer.main import get_command

from connectors.loop import DRAIN_S
from millrace.cli import app
from millrace.services import pipeline_services
from millrace.supervisor.service import HttpProbe, KafkaProbe, Plan, PostgresProbe, Probe, Service, groups_of
from runtime.settings import Settings


def by_name(settings: Settings) -> dict[str, Service]:
    return {service.name: service for service in pipeline_services(settings)}


def service(name: str, group: str) -> Service:
    return Service(name=name, argv=["true"], group=group)


def test_the_pipeline_starts_from_its_end_so_that_nothing_is_produced_for_nobody() -> None:
    groups = groups_of(Plan("home", pipeline_services(Settings())))
    assert [group[0].group for group in groups] == ["topics", "watch", "sink", "connectors", "workers", "api"]


def test_topics_are_made_before_anybody_reads_one() -> None:
    first, *others = pipeline_services(Settings())
    assert first.one_shot
    assert not any(other.one_shot for other in others), "a service that ends by itself would hold the next group back"


@examples(max_examples=30)
@given(workers=st.integers(1, 12), api_processes=st.integers(1, 6))
def test_there_are_as_many_workers_and_api_processes_as_the_settings_say(workers: int, api_processes: int) -> None:
    services = pipeline_services(Settings(workers=workers, api_processes=api_processes))
    names = [one.name for one in services]
    assert len(set(names)) == len(names), "a name is a log file and the target of `millrace kill`"
    assert [name for name in names if name.startswith("worker-")] == [f"worker-{slot}" for slot in range(workers)]
    assert [name for name in names if name.startswith("api-")] == [f"api-{number}" for number in range(api_processes)]


def test_no_two_workers_share_a_slot_and_no_two_api_processes_a_number() -> None:
    """The slot is the transactional id: two workers with the same one would fence each other for ever."""
    services = pipeline_services(Settings(workers=3, api_processes=2))
    slots = [one.env["MILLRACE_SLOT"] for one in services if "MILLRACE_SLOT" in one.env]
    numbers = [one.env["MILLRACE_API_PROCESS_ID"] for one in services if "MILLRACE_API_PROCESS_ID" in one.env]
    assert (slots, numbers) == (["0", "1", "2"], ["0", "1"])


def test_what_a_service_adds_to_its_environment_is_a_setting() -> None:
    known = {f"MILLRACE_{name.upper()}" for name in Settings.model_fields}
    added = {name for one in pipeline_services(Settings()) for name in one.env}
    assert added <= known


def test_connectors_run_where_a_provider_has_a_key() -> None:
    assert "connectors" not in by_name(Settings())
    assert by_name(Settings(stripe_api_key_file=Path("key")))["connectors"].stop_timeout_ms > DRAIN_S * 1_000


def test_every_service_is_a_command_of_this_program() -> None:
    program: Any = get_command(app)
    for one in pipeline_services(Settings(stripe_api_key_file=Path("key"))):
        python, flag, module, command = one.argv
        assert (python, flag, module) == (sys.executable, "-m", "millrace")
        assert command in program.commands, f"{one.name} would end at once"


def test_an_api_process_is_ready_when_it_says_so_at_its_own_address() -> None:
    api = by_name(Settings(api_host="127.0.0.2", api_port=21_001))["api-0"]
    assert api.ready == HttpProbe("http://127.0.0.2:21001/readyz")


def test_an_api_process_is_killed_only_after_its_calls_had_time_to_end() -> None:
    settings = Settings(api_drain_timeout_ms=42_000)
    assert by_name(settings)["api-0"].stop_timeout_ms > settings.api_drain_timeout_ms


def test_a_worker_may_finish_its_transaction_before_it_is_killed() -> None:
    settings = Settings()
    assert by_name(settings)["worker-0"].stop_timeout_ms >= settings.transaction_timeout_ms


@examples(max_examples=40)
@given(st.lists(st.sampled_from("abcd"), max_size=12))
def test_groups_keep_the_order_of_first_appearance_and_lose_nobody(groups: list[str]) -> None:
    services = [service(f"{group}-{number}", group) for number, group in enumerate(groups)]
    made = groups_of(Plan("home", services))
    assert [one for group in made for one in group] == sorted(services, key=lambda one: groups.index(one.group))
    firsts = [groups.index(group[0].group) for group in made]
    assert all(earlier < later for earlier, later in pairwise(firsts))


@pytest.mark.parametrize(
    "probe",
    [None, HttpProbe("http://127.0.0.1:1/readyz"), PostgresProbe("postgresql://x"), KafkaProbe("127.0.0.1:1", 3)],
    ids=lambda probe: type(probe).__name__,
)
def test_a_plan_reaches_the_supervisor_as_it_was_written(probe: Probe | None) -> None:
    """The plan is a file between two processes: each probe has to come back as its own kind."""
    planned = Service(name="one", argv=["a", "b c"], group="g", env={"X": "ü"}, ready=probe, stop_signal=2)
    plan = Plan("home", [planned])
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan
