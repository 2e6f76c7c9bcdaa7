"""A table or a saved answer of a provider → the name of the report and its events."""

from collections.abc import Iterator
from functools import partial
from itertools import chain

from reconciliation.statements.lines import Event
from reconciliation.statements.providers.paypal import TAGS, PayPalReader
from reconciliation.statements.providers.profile import Profile, built_in_profiles
from reconciliation.statements.providers.square import parse_square
from reconciliation.statements.providers.tables import csv_rows, xlsx_rows
from reconciliation.statements.providers.tabular import parse_table
from reconciliation.statements.refusals import Reason, Refused
from reconciliation.statements.source import Source

_ROWS = {"csv": csv_rows, "xlsx": xlsx_rows}


def parse_report(source: Source, kind: str, profile: Profile | None = None) -> tuple[str, Iterator[Event]]:
    """Name and events of a report that came as csv, xlsx or json, by a user's profile where one is given.

    Raises Refused.
    """
    if kind == "json":
        return "square.payouts", parse_square(source)
    rows = _ROWS[kind](source)
    again = partial(_ROWS[kind], source._replace(advance=lambda _: None))
    if profile is not None:
        return parse_table(rows, (profile,), again)
    first = next(rows, None)
    if first is None:
        raise Refused(Reason.EMPTY, "the table has no row")
    rows = chain([first], rows)
    if first[1][0].lstrip("\ufeff").upper() in TAGS:
        return "paypal", PayPalReader().events(rows)
    return parse_table(rows, built_in_profiles(), again)
