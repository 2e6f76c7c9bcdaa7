"""What rules resolve without a person: whitelisted types, up to a limit each and one for the run. The choice is pure.

An automatic adjustment is a proposal of the rules themselves that is approved as it is made; its trail says by which
revision.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from uuid import UUID

from psycopg import Connection

from payments.identifiers import system_account
from payments.items.details import Posting
from reconciliation.breaks import desk
from reconciliation.matching.breaks import BreakType
from reconciliation.runs.rules import ACCOUNTS, Automatic, BreakRules, RunRules

_OPEN = """
SELECT break_id, type, difference_minor, currency FROM recon_breaks
WHERE rule_set = %s AND status = 'open' AND seen_run = %s AND NOT after_sign_off AND type = ANY(%s)
ORDER BY value_minor, break_id FOR UPDATE"""


class Open(NamedTuple):
    """A break that nobody deals with yet."""

    break_id: UUID
    type: str
    difference_minor: int
    currency: str


def chosen(breaks: Iterable[Open], rules: BreakRules) -> Iterator[tuple[Open, Automatic]]:
    """Which of them are adjusted, by which rule: the smallest first, until the limit of the run."""
    spent: Counter[str] = Counter()
    for one in breaks:
        value_minor = abs(one.difference_minor)
        for rule in rules.automatic:
            fits = (rule.type, rule.currency) == (one.type, one.currency) and 0 < value_minor <= rule.up_to_minor
            if fits and spent[one.currency] + value_minor <= rules.run_limit_minor:
                spent[one.currency] += value_minor
                yield one, rule
                break


def legs(difference_minor: int, currency: str, rule: Automatic) -> tuple[Posting, ...]:
    """`difference_minor` is what the books have too much: it is debited and credited as the rule says."""
    debited, credited = (system_account(ACCOUNTS[name], currency) for name in (rule.debit, rule.credit))
    return Posting(debited, -difference_minor, currency), Posting(credited, difference_minor, currency)


def adjust(connection: Connection, rules: RunRules, run_id: UUID, shards: int) -> int:
    """Within the transaction of a run; how many were adjusted. Raises psycopg.Error."""
    if not rules.breaks.automatic:
        return 0
    types = [BreakType(rule.type) for rule in rules.breaks.automatic]
    rows = connection.execute(_OPEN, (rules.name, run_id, types)).fetchall()
    by = f"{desk.AUTOMATON}{rules.name}@{rules.revision}"
    count = 0
    for one, rule in chosen(map(Open._make, rows), rules.breaks):
        desk.adjust_by_rule(connection, one.break_id, legs(one.difference_minor, one.currency, rule), by, shards)
        count += 1
    return count
