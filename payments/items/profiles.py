"""What the book keeps for limits and rules: a profile per account, evolved from entries, and the rule set in force."""

from functools import lru_cache

from payments.entries import Entry, EntryKind
from payments.errors import InvariantViolation
from payments.identifiers import NIL
from payments.items.details import Assessed, RiskProfile
from payments.items.open_items import Items
from payments.risk import verdict
from payments.risk.activity import Attempted, key_of_account
from payments.risk.rules import RuleSet, parse
from payments.risk.state import NEW, Fact, RiskState, decode, encode, evolve


def attempt_of(entry: Entry, assessed: Assessed) -> Attempted:
    """The fact that an assessed entry records: an attempt, approved where its money was set aside."""
    return verdict.attempted(
        verdict.decode(assessed.verdict),
        time_us=entry.decided_at_us,
        amount_minor=entry.amount_minor,
        payer=key_of_account(entry.debit_account),
        payee=b"" if entry.credit_account == NIL else key_of_account(entry.credit_account),
        approved=entry.kind is not EntryKind.REJECTED,
    )


def risk_state_of(items: Items, account_id: bytes) -> RiskState | None:
    """What is kept of an account for its limits and rules; None where nothing is."""
    profile = items.find(RiskProfile, account_id, NIL)
    return None if profile is None else decode(profile.state)


def learn(items: Items, account_id: bytes, *facts: Fact) -> None:
    """Evolve what is kept of an account from what an entry records."""
    state = risk_state_of(items, account_id) or NEW
    for fact in facts:
        state = evolve(state, fact)
    items.put(RiskProfile(NIL, account_id, encode(state)))


@lru_cache(maxsize=8)  # the shards of a worker have the same one, a replay meets a few
def rule_set_of(text: str) -> RuleSet:
    """A rule set that was found valid before it was recorded. Raises InvariantViolation."""
    parsed = parse(text)
    if not isinstance(parsed, RuleSet):
        raise InvariantViolation(f"the rule set in force is none: {parsed[0]}")
    return parsed
