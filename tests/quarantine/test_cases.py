"""Every reason is shown with bytes and advice, a bad record never stops the others, a discard deletes nothing."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest_api.identity.tokens import Scope
from payments.commands import Command
from payments.identifiers import NIL
from payments.rejections import Reason
from schemas.codec.commands import encode_batch, encode_body, encode_command
from schemas.origin import Origin
from schemas.partitioning import shard_of
from tests.ingest_api.client import problem_of
from tests.quarantine.conftest import Operator, stranger, transfer

Spoil = Callable[[Command], bytes]
SPOILT: dict[str, tuple[Spoil, Reason, str]] = {
    "no frame": (lambda _: b"nonsense", Reason.MALFORMED, "no Confluent frame"),
    "empty": (lambda _: b"", Reason.MALFORMED, "no Confluent frame"),
    "unknown schema": (lambda c: b"\0\0\0\x7f\x01" + encode_body(c), Reason.MALFORMED, "is no command"),
    "cut batch": (lambda c: encode_batch([encode_body(c)])[:-3], Reason.MALFORMED, "ends inside"),
    "cut command": (lambda c: encode_command(c)[:-1], Reason.MALFORMED, "ends inside"),
    "U+0000": (lambda c: encode_command(c._replace(description="a\0b")), Reason.MALFORMED, "U+0000"),
    "one party": (lambda c: encode_command(c._replace(payee=NIL)), Reason.MALFORMED, "parties"),
    "no key": (lambda c: encode_command(c._replace(idempotency_key="")), Reason.IDEMPOTENCY_KEY_MISSING, "no idempot"),
    "long text": (lambda c: encode_command(c._replace(description="d" * 141)), Reason.TEXT_TOO_LONG, "characters"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_can_never_be_decided_is_explained_and_refused(operator: Operator, name: str) -> None:
    spoil, reason, wrong = SPOILT[name]
    command = transfer(stranger(), stranger())
    origin = operator.send(shard_of(command.payer, operator.shards), spoil(command))
    case = operator.await_case(origin)
    assert (case.reason, case.key) == (reason, b"anybody")
    shown = operator.api.get(f"/v1/quarantine/{origin}").json()
    assert not shown["redrivable"]
    assert wrong in shown["wrong"]
    assert "discard" in shown["advice"]
    assert base64.b64decode(shown["value_base64"]) == case.value != b"" or name == "empty"
    problem_of(operator.api.post(f"/v1/quarantine/{origin}/redrive", {}), 422, "quarantine_case_undecidable")
    assert operator.await_case(origin).resolution is None


def test_what_can_be_read_of_broken_bytes_is_shown(operator: Operator) -> None:
    payer, payee = stranger(), stranger()
    command = transfer(payer, payee, idempotency_key="order [red]4711[/]\x1b[2J", description="for the cat")
    origin = operator.send(shard_of(command.payer, operator.shards), encode_command(command)[:-4])
    operator.await_case(origin)
    [shown] = operator.json("inspect", str(origin))["commands"]
    assert (shown["payer"], shown["payee"], shown["amount_minor"]) == (payer, payee, 500)
    assert shown["idempotency_key"] == command.idempotency_key
    assert "description" not in shown
    printed = operator.run("inspect", str(origin)).stdout
    assert r"order [red]4711[/]\x1b[2J" in printed
    assert "\x1b[2J" not in printed
    assert f"{0:08x}  00 " in printed


def test_one_bad_item_never_stops_the_others(operator: Operator) -> None:
    """Of the same partition, and of the same packed record."""
    payer, payee = operator.accounts()
    good = [transfer(payer, payee, 100) for _ in range(4)]
    shard = shard_of(good[0].payer, operator.shards)
    bad = [operator.send(shard, b"before"), operator.send(shard, encode_batch([*map(encode_body, good[:2]), b"bad"]))]
    keyless = good[2]._replace(idempotency_key="")
    packed = operator.send(shard, encode_batch([encode_body(command) for command in (good[2], keyless, good[3])]))
    operator.await_balance(payee, 400)
    operator.await_case(bad[0])
    assert operator.await_case(bad[1]._replace(item=2)).value == b"bad"
    assert operator.await_case(packed._replace(item=1)).reason == Reason.IDEMPOTENCY_KEY_MISSING


def test_the_list_is_paged_filtered_and_the_same_over_http(operator: Operator) -> None:
    origins = {str(operator.send(1, b"page %d" % number)) for number in range(5)}
    for origin in origins:
        parsed = Origin.parse(origin)
        assert parsed is not None
        operator.await_case(parsed)
    listed = operator.json("list", "--reason", "malformed", "--limit", "500")["items"]
    assert origins <= {case["id"] for case in listed}
    seen: list[str] = []
    path = "/v1/quarantine"
    page = operator.api.get(path, reason="malformed", status="open", limit="2").json()
    while True:
        seen += [case["id"] for case in page["items"]]
        if not page["has_more"]:
            break
        cursor = page["next_cursor"]
        page = operator.api.get(path, reason="malformed", status="open", limit="2", cursor=cursor).json()
    assert seen == [case["id"] for case in listed]
    assert operator.json("list", "--reason", "nobody")["items"] == []
    assert operator.run("list", "--status", "nonsense").returncode == 2


def test_a_discard_needs_a_reason_and_deletes_nothing(operator: Operator) -> None:
    origin = operator.send(0, b"to be given up")
    operator.await_case(origin)
    assert operator.run("discard", str(origin), "--because", " ").returncode == 2
    [line] = operator.json("discard", str(origin), "--because", "sent again as order 7", "--as", "otto")
    assert line == {"id": str(origin), "done": True}
    case = operator.await_case(origin)
    assert case.value == b"to be given up"
    assert case.resolution is not None
    assert (case.status, case.resolution.resolved_by) == ("discarded", "otto")
    assert case.resolution.because == "sent again as order 7"
    assert case.resolution.resolved_at is not None
    for arguments in (("discard", str(origin), "--because", "again"), ("redrive", str(origin), "--force")):
        [line] = operator.json(*arguments, expect=1)
        assert line["code"] == "quarantine_case_resolved"
    assert operator.json("list", "--status", "discarded")["items"][0]["id"] == str(origin)


def test_an_operator_elsewhere_sees_and_does_the_same(operator: Operator, tmp_path: Path) -> None:
    far = operator.far(tmp_path / "profiles.toml")
    origin = str(operator.send(3, b"from afar"))
    operator.await_case(Origin.parse(origin) or pytest.fail(origin))
    assert far.json("inspect", origin) == operator.json("inspect", origin)
    assert far.run("inspect", origin).stdout == operator.run("inspect", origin).stdout
    [line] = far.json("discard", origin, "--because", "seen from afar")
    assert line == {"id": origin, "done": True}
    assert far.json("redrive", origin, expect=1) == operator.json("redrive", origin, expect=1)
    discarded = "list", "--status", "discarded", "--limit", "3"
    assert far.json(*discarded) == operator.json(*discarded)
    assert operator.json("inspect", origin)["resolved_by"] == "olga"


def test_over_http(operator: Operator) -> None:
    origin = operator.send(2, b"over http")
    operator.await_case(origin)
    path = f"/v1/quarantine/{origin}"
    detail = operator.api.get(path).json()
    assert (detail["status"], base64.b64decode(detail["value_base64"])) == ("open", b"over http")
    problem_of(operator.api.post(f"{path}/redrive", {}), 422, "quarantine_case_undecidable")
    problem_of(operator.api.post(f"{path}/discard", {}), 422, "field_missing")
    problem_of(operator.api.post(f"{path}/discard", {"because": " "}), 422, "field_invalid")
    answer = operator.api.post(f"{path}/discard", {"because": "a test"})
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["resolved_by"]) == ("discarded", "olga")
    problem_of(operator.api.post(f"{path}/discard", {"because": "a test"}), 409, "quarantine_case_resolved")
    problem_of(operator.api.get("/v1/quarantine", cursor="?"), 422, "cursor_invalid")
    for unknown in ("nonsense", "payments.commands-1-999999-0"):
        problem_of(operator.api.get(f"/v1/quarantine/{unknown}"), 404, "quarantine_case_not_found")
        problem_of(operator.api.post(f"/v1/quarantine/{unknown}/redrive", {}), 404, "quarantine_case_not_found")


def test_scopes(operator: Operator) -> None:
    reader, writer = operator.caller(Scope.QUARANTINE_READ), operator.caller(Scope.QUARANTINE_WRITE)
    path = "/v1/quarantine/payments.commands-1-999999-0"
    assert reader.get("/v1/quarantine").status_code == 200
    problem_of(writer.get("/v1/quarantine"), 403, "scope_insufficient")
    problem_of(writer.get(path), 403, "scope_insufficient")
    problem_of(reader.post(f"{path}/redrive", {}), 403, "scope_insufficient")
    problem_of(reader.post(f"{path}/discard", {"because": "x"}), 403, "scope_insufficient")
