"""Goal: whatever a load is interrupted by, each line of the file is asked for under one key, and none is left out."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from millrace.cli import EXIT_FAILED, EXIT_USAGE
from tests.remote.conftest import Run, lines_of

HEADER = "from_account,to_account,amount,currency,description\n"


class Killed(BaseException):
    """As SIGKILL: nothing that runs afterwards can be relied on."""


class Api:
    """Takes batches, refuses amounts of 13.00, and is killed with its caller before it answers batch `dies_at`."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.amounts: dict[str, Any] = {}
        self.dies_at = 0
        self.batches = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        lines = lines_of(request)
        self.batches += 1
        self.keys += [line["idempotency_key"] for line in lines]
        self.amounts |= {line["idempotency_key"]: line["amount"] for line in lines}
        if self.batches == self.dies_at:
            raise Killed
        bad = [n for n, line in enumerate(lines, 1) if line["amount"] == "13.00"]
        rejected = [{"line": n, "code": "denied", "detail": "Not this one.", "pointer": "/amount"} for n in bad]
        return httpx.Response(202, json={"accepted": len(lines) - len(bad), "rejected": rejected, "positions": []})


@pytest.fixture
def api() -> Api:
    return Api()


def csv_file(folder: Path, lines: int = 10) -> Path:
    file = folder / "payments.csv"
    rows = [f"acc_1,acc_2,{number}.00,EUR,line {number}" for number in range(10, 10 + lines)]
    file.write_text(HEADER + "\n".join(rows) + "\n")
    return file


def load(run: Run, api: Api, file: Path, *options: str) -> Any:
    return run(api, "load", str(file), "--batch-lines", "2", "--json", *options)


def test_a_load_goes_on_after_a_kill_with_the_same_keys(run: Run, api: Api, tmp_path: Path) -> None:
    file = csv_file(tmp_path)
    api.dies_at = 3
    with pytest.raises(Killed):
        load(run, api, file)
    assert len(api.keys) == 6
    report = load(run, api, file)
    assert report.exit_code == EXIT_FAILED, "a line was refused"
    state = json.loads(report.output)
    assert (state["done"], state["accepted"], state["rejected"], state["sent_now"]) == (10, 9, 1, 6)
    assert api.keys[4:6] == api.keys[6:8], "the batch that was under way came again under its keys"
    assert len(set(api.keys)) == 10
    refused = [json.loads(line) for line in (tmp_path / "payments.csv.rejected.ndjson").read_text().splitlines()]
    assert [(line["line"], line["code"]) for line in refused] == [(4, "denied")]
    sent = len(api.keys)
    assert json.loads(load(run, api, file).output)["sent_now"] == 0
    assert len(api.keys) == sent


def test_a_load_without_its_progress_pays_nothing_twice(run: Run, api: Api, tmp_path: Path) -> None:
    file = csv_file(tmp_path, 3)
    load(run, api, file)
    (tmp_path / "payments.csv.progress").unlink()
    load(run, api, file)
    assert len(api.keys) == 6
    assert len(set(api.keys)) == 3
    load(run, api, file, "--anew", "december")
    assert len(set(api.keys)) == 6, "the same file is paid again when that is asked for"


def test_a_file_that_has_changed_is_not_gone_on_with(run: Run, api: Api, tmp_path: Path) -> None:
    file = csv_file(tmp_path)
    api.dies_at = 2
    with pytest.raises(Killed):
        load(run, api, file)
    file.write_text(file.read_text().replace("11.00", "12.00"))
    refused = load(run, api, file)
    assert (refused.exit_code, "has changed since 2 of its lines" in refused.output) == (EXIT_USAGE, True)
    assert api.batches == 2


def test_keys_and_amounts_of_the_file_are_sent_as_they_are(run: Run, api: Api, tmp_path: Path) -> None:
    file = tmp_path / "payments.ndjson"
    line = {"from_account": "acc_1", "to_account": "acc_2", "currency": "EUR"}
    first = json.dumps(line | {"amount": "0.10", "idempotency_key": "mine"})
    exact = json.dumps(line | {"amount": 0}).replace(" 0}", " 1234567890123456.78}")
    file.write_text(f"{first}\n\n{exact}\n")
    assert load(run, api, file).exit_code == 0
    assert api.keys[0] == "mine"
    assert api.amounts == {"mine": "0.10", api.keys[1]: "1234567890123456.78"}


def test_a_file_that_is_none_is_told_with_its_place(run: Run, api: Api, tmp_path: Path) -> None:
    file = csv_file(tmp_path, 3)
    for text, why in {
        "": "names columns",
        "payer,payee\n": "names columns",
        HEADER + "acc_1,acc_2\n": ":2: not as many",
        HEADER + "a,b,c,d,e,f\n": ":2: not as many",
    }.items():
        file.write_text(text)
        (tmp_path / "payments.csv.progress").unlink(missing_ok=True)
        refused = load(run, api, file)
        assert (refused.exit_code, why in refused.output) == (EXIT_USAGE, True), refused.output
    broken = tmp_path / "broken.ndjson"
    broken.write_text('{"amount": "1"\n')
    assert "broken.ndjson:1: " in load(run, api, broken).output
    assert api.batches == 0
