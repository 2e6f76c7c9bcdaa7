"""The natural key of a line: what makes it the same line when another file has it again. Pure.

A bank sends a movement intraday (camt.052) and at the day's end (camt.053), with the same reference of its own but not
the same words; so where the source gives a line an identification of its own, that and the money are the key.
Otherwise everything that the line says is, and `occurrence` tells apart equal lines of one file: two coffees of one
day are two movements, in that file and in any other that has the day.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

from reconciliation.statements.lines import Line

OWN_REFERENCES = (
    "balance_transaction_id",
    "entry_id",
    "fitid",
    "transaction_id",
    "account_servicer_transaction_id",
    "clearing_system_reference",
    "uetr",
    "imad",
    "trace_number",
    "action_id",
    "bank_reference",
    "account_servicer_reference",
    "entry_reference",
)
"""References that the source itself gives to a movement, the narrowest first. The payer's own repeat."""


def natural_key(source: str, account: str, line: Line, occurrence: int = 0) -> str:
    """64 hexadecimal digits. `source` is who sends the file (a bank's BIC, "stripe"), not its format.

    A batch's transactions share its references, so all of a line's own ones count together; and references repeat
    in practice, so `occurrence` counts there too.
    """
    own = [f"{name}={line.references[name]}" for name in OWN_REFERENCES if name in line.references]
    money = [str(line.amount_minor), line.currency, line.booking_date or line.value_date or ""]
    words = own or [
        line.value_date or "",
        line.type,
        line.description,
        line.counterparty,
        *(f"{name}={value}" for name, value in sorted(line.references.items())),
    ]
    parts = [source, account, str(occurrence), *money, *words]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def keyed(source: str, account: str, lines: Iterable[Line]) -> Iterator[tuple[str, Line]]:
    """Each line of a statement with its key. Keeps 16 bytes a line: a million lines are some 100 MB."""
    seen: Counter[bytes] = Counter()
    for line in lines:
        first = bytes.fromhex(natural_key(source, account, line))[:16]
        yield natural_key(source, account, line, seen[first]), line
        seen[first] += 1
