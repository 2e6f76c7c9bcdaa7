"""`python -m benchmarks.risk`: what risk costs a payment, step by step, in CPU µs.

Reads examples/risk_rules.yaml. Each step runs in rounds; the quickest is shown, because what makes the others slower is
the rest of the machine.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cel
import msgspec

from benchmarks.machine import machine
from payments.book import Book
from payments.book import evolve as evolve_book
from payments.commands import NO_REPLY, Command, CommandKind
from payments.entries import Entry, Source
from payments.identifiers import NIL, derive_operation_id
from payments.lifecycle import decide as decide_command
from payments.money import MAX_MINOR
from payments.movements.deciding import decide, settled
from payments.movements.instructions import Attributes, Envelope, SetRules, attributed
from payments.risk import distinct, verdict, windows
from payments.risk.activity import Attempted, Key
from payments.risk.assess import assess
from payments.risk.features import FEATURES
from payments.risk.limits import Limits, Tier
from payments.risk.moment import Attempt
from payments.risk.rules import NO_RULES, RuleSet, parse
from payments.risk.state import NEW, RiskState, decode, encode, evolve
from payments.risk.windows import BUCKETS, DAY, SPANS
from payments.spanning import counts as spanning
from payments.spanning.counts import (
    Asker,
    Counts,
    Learned,
    counted,
    decode_counts,
    decode_learned,
    known_of,
    learn,
    values_of,
)

RULES = Path(__file__).parent.parent / "examples" / "risk_rules.yaml"
ROUNDS, CALLS = 30, 1_000

_NOW_US = 1_795_348_800 * 10**6  # 2026-11-22
_AMOUNT_MINOR = 12_34
_KEYS = (b"payer..0", b"payee..0", b"card...0", b"device.0", b"address0")


_PAYER, _PAYEE = b"payer...........", b"payee..........."
_TRANSFERS_UNDER = {
    "one rule on its account": "version: 1\nrules: [{id: a, when: attempts_1h < 0, verdict: deny, reason: x}]",
    "one rule on its device": "version: 1\nrules: [{id: a, when: device_attempts_1h < 0, verdict: deny, reason: x}]",
}


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.risk", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    every = steps(rule_set()) | spanning_steps()
    every |= {f"transfer, settled, {name}": transfers_with(rules) for name, rules in _TRANSFERS_UNDER.items()}
    results = {name: measured(step) for name, step in every.items()}
    if asked.json:
        text = msgspec.json.format(msgspec.json.encode({"us": results, "machine": machine()}), indent=2).decode()
    else:
        text = table(results)
    sys.stdout.write(f"{text}\n")


def rule_set() -> RuleSet:
    """The example."""
    rules = parse(RULES.read_text())
    assert isinstance(rules, RuleSet), rules
    return rules


def steps(rules: RuleSet) -> dict[str, Callable[[], object]]:
    """By name; accounts and windows are as full as they get."""
    used, attempt = _used_account(), partial(Attempt, _NOW_US, _AMOUNT_MINOR, "EUR", _KEYS)
    limited = used._replace(limits=Limits(10**9, 10**9, 10**9))
    attempted = Attempted(_NOW_US, _AMOUNT_MINOR, _KEYS, approved=True)
    values = {feature.name: feature.type() for feature in rules.reads}
    day = used.activity.windows[2]
    verdict_of_rules = assess(used, attempt(), rules)
    return {
        "attempt, no rules, no limits": lambda: assess(None, attempt(), NO_RULES),
        "attempt, limits alone": lambda: assess(limited, attempt(), NO_RULES),
        f"attempt, {len(rules.rules)} rules on {len(rules.reads)} features": lambda: assess(used, attempt(), rules),
        f"{len(rules.rules)} rules, features given": lambda: rules.hits(values),
        "one rule, compiled, in a context that exists": partial(
            rules.rules[-4].condition.execute, cel.Context(variables=values)
        ),
        "window: one sum of 13 buckets": lambda: windows.total(windows.inside(day, DAY, _NOW_US), 0),
        "window: one attempt more": lambda: windows.add(day, DAY, _NOW_US, _AMOUNT_MINOR, approved=True),
        "distinct: count of 33 keys": lambda: distinct.count(used.activity.seen[1], SPANS[1], _NOW_US),
        "distinct: one key more": lambda: distinct.see(used.activity.seen[1], _KEYS[1], _NOW_US),
        "evolve, 4 windows and 4 kinds of keys": lambda: evolve(used, attempted),
        f"encode the state, {len(encode(used)):,} bytes": lambda: encode(used),
        "decode the state": partial(decode, encode(used)),
        f"encode the verdict, {len(verdict.encode(verdict_of_rules))} bytes": partial(verdict.encode, verdict_of_rules),
    }


def spanning_steps() -> dict[str, Callable[[], object]]:
    """What a rule on a device adds: at the payer's shard for each attempt, and at the device's for each it is told."""
    reads = tuple(FEATURES[name] for name in ("device_attempts_1h", "device_distinct_accounts_24h"))
    asker = Asker(0, b"payer" * 3 + b".", _NOW_US)
    attempted = Attempted(_NOW_US, _AMOUNT_MINOR, _KEYS, approved=True)
    counts = Counts(_used_account().activity)
    values = values_of(counts, Key.DEVICE, reads, "EUR", _NOW_US)
    learned = learn(Learned(), values, "EUR", _NOW_US)
    packed, kept = spanning.encode(counts), spanning.encode(learned)
    return {
        "payer's shard: values last told": lambda: known_of(decode_learned(kept), "EUR", _NOW_US),
        "payer's shard: learn what was published": lambda: spanning.encode(
            learn(decode_learned(kept), values, "EUR", _NOW_US)
        ),
        f"device's shard: count one attempt, {len(packed):,} bytes": lambda: spanning.encode(
            counted(decode_counts(packed), Key.DEVICE, attempted, "EUR", asker)
        ),
        "device's shard: the values that 2 features publish": lambda: values_of(
            counts, Key.DEVICE, reads, "EUR", _NOW_US
        ),
    }


def transfers_with(rules: str) -> Callable[[], object]:
    """One attributed transfer and all that follows from it, in a book that has every account, under these rules."""
    book, number = Book(), itertools.count(1)
    for at, account in enumerate((_PAYER, _PAYEE)):
        evolve_book(book, _opened(account, at))
    asked = SetRules(shard=0, text=rules, envelope=Envelope("rules"))
    evolve_book(book, decide(book, b"r" * 16, asked, Source(2, 0, _NOW_US)))

    def step() -> None:
        offset = next(number)
        key = f"{offset}"
        paid = Command(CommandKind.TRANSFER, _PAYER, _PAYEE, 1, "EUR", NO_REPLY, key)
        transfer = attributed(paid, Attributes(device_key=_KEYS[Key.DEVICE]))
        source = Source(offset, 0, _NOW_US + offset * 1_000)
        operation_id = derive_operation_id(_PAYER, key, 0)
        for _ in settled(book, decide(book, operation_id, transfer, source), source):
            pass

    return step


def _opened(account: bytes, at: int) -> Entry:
    opening = Command(CommandKind.OPEN_ACCOUNT, account, NIL, MAX_MINOR, "EUR", NO_REPLY, "open")
    return decide_command(Book(), account, opening, Source(at, 0, _NOW_US))


def measured(step: Callable[[], object]) -> float:
    """CPU µs a call, in the quickest round."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(CALLS):
            step()
        rounds.append((time.process_time() - began) / CALLS * 10**6)
    return round(min(rounds), 2)


def table(results: dict[str, float]) -> str:
    """Markdown, for docs/risk.md."""
    return "\n".join(["| step | µs |", "|---|---|", *(f"| {name} | {us} |" for name, us in results.items())])


def _used_account() -> RiskState:
    """Every bucket of every window is in use, and every memory of keys is full; no limit of its tier."""
    state, hours = NEW._replace(tier=Tier.ENHANCED), 24 * 31
    for number in range(hours * BUCKETS):
        time_us = _NOW_US - (hours * BUCKETS - 1 - number) * 300 * 10**6
        keys = tuple([number.to_bytes(8, "big")] * len(_KEYS))
        state = evolve(state, Attempted(time_us, _AMOUNT_MINOR, keys, approved=True))
    return state


if __name__ == "__main__":
    main()
