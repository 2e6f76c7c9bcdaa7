"""What a customer may contest alone, and what needs an operator.

A dispute takes the amount from the payee at once, whatever comes of it, so it must be no way to call back any payment:
customers contest what they have paid to merchants, lately, up to a limit and a few at a time.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

from ingest_api.problems import Fault, Problem
from ingest_api.reads.received import Received
from ingest_api.services import Services
from payments.accounts import AccountType
from payments.money import EXPONENTS

UNITS_MAX: Final = 1_000
"""Of the payment's currency (not minor ones), as the limit of a second factor."""

PAID_WITHIN: Final = timedelta(days=120)
"""What card networks give a cardholder."""

OPEN_MAX: Final = 5
"""Open disputes of one account at a time, this one apart."""

_FACTS: Final = f"""
SELECT (SELECT type = {AccountType.MERCHANT:d} FROM accounts WHERE account_id = %(payee)s) AS to_merchant,
    (SELECT now() - decided_at < %(within)s FROM payments WHERE payment_id = %(payment)s) AS is_recent,
    (SELECT count(*) FROM (
        SELECT FROM disputes WHERE customer = %(payer)s AND is_open AND payment_id <> %(payment)s LIMIT {OPEN_MAX}
    ) AS open) AS open"""


async def require_alone(services: Services, paid: Received, amount_minor: int) -> None:
    """Raises Problem 403 where an operator has to open it, DatabaseUnavailable."""
    if amount_minor > UNITS_MAX * 10 ** EXPONENTS[paid.currency]:
        raise _operator(f"it is about more than {UNITS_MAX:,} {paid.currency}")
    ids = {name: UUID(bytes=getattr(paid, name)) for name in ("payer", "payee")}
    facts = await services.database.row(_FACTS, ids | {"payment": UUID(bytes=paid.payment_id), "within": PAID_WITHIN})
    assert facts is not None
    if not facts["to_merchant"]:
        raise _operator("the money went to no merchant")
    if not facts["is_recent"]:
        raise _operator(f"it was paid more than {PAID_WITHIN.days} days ago")
    if facts["open"] >= OPEN_MAX:
        raise _operator(f"{OPEN_MAX} disputes of the account are open")


def _operator(why: str) -> Problem:
    return Problem(Fault.DISPUTE_NEEDS_OPERATOR, f"Ask an operator to open it: {why}.")
