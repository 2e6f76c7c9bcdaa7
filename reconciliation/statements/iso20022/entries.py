"""One entry of a camt message and its transactions → typed values. Pure.

The sign is the entry's CdtDbtInd; RvslInd tells that it undoes an earlier one and changes no sign (ISO 20022:
"if CRDT and reversal, the original entry was a debit").
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from reconciliation.statements.iso20022.parts import (
    ACCOUNT_PARTS,
    DESCRIPTION_CHARS_MAX,
    amount,
    bank_code,
    day_of,
    reference_slots,
    references,
    remittance,
    sign,
    unsigned_minor,
)
from reconciliation.statements.iso20022.stream import Record
from reconciliation.statements.lines import Line, Position, stated_references
from reconciliation.statements.refusals import Reason, Refused
from reconciliation.statements.values import day, minor


class Detail(NamedTuple):
    """One <TxDtls>; `amount_minor` only when it has its own amount in the entry's currency."""

    position: Position
    amount_minor: int | None = None
    references: Mapping[str, str] = MappingProxyType({})
    description: str = ""
    counterparty: str = ""
    value_date: str | None = None
    type: str = ""
    fee_minor: int | None = None
    original_amount: str = ""
    instructed_minor: int | None = None
    """What was ordered, in the entry's currency: stands for the amount where that is all that a batch says."""


class EntryHead:
    """What an <Ntry> says of itself, before and beside its transactions."""

    def __init__(self, entry: Record) -> None:
        self.indicator = entry.first("CdtDbtInd")
        if not self.indicator:
            raise Refused(Reason.FIELD, "an entry without CdtDbtInd is neither credit nor debit")
        stated = amount(entry, "Amt")
        if stated is None:
            raise Refused(Reason.FIELD, "an entry without an amount (Amt)")
        self.currency = stated[1]
        self.amount_minor = stated[0] * sign(self.indicator)
        self.status = entry.first("Sts/Cd", "Sts/Prtry", "Sts")
        self.booking_date = day_of(entry, "BookgDt")
        self.value_date = day_of(entry, "ValDt")
        self.reversal = entry.first("RvslInd") in {"true", "1"}
        self.type = bank_code(entry)
        self.fee_minor = _charges(entry, self.currency)
        self.original_amount = _own_amount(entry, self.currency)[1]
        self.references = stated_references(
            {
                "entry_reference": entry.first("NtryRef"),
                "account_servicer_reference": entry.first("AcctSvcrRef"),
                "message_id": entry.first("NtryDtls/Btch/MsgId", "Btch/MsgId"),
                "payment_information_id": entry.first("NtryDtls/Btch/PmtInfId", "Btch/PmtInfId"),
            }
        )


_PARTIES = {
    f"RltdPties/{place}/{part}": name
    for place, name in (("Dbtr", "debtor"), ("Cdtr", "creditor"), ("UltmtDbtr", "debtor"), ("UltmtCdtr", "creditor"))
    for part in ("Nm", "Pty/Nm", "Agt/FinInstnId/Nm")
}
_ACCOUNTS = {
    f"RltdPties/{place}/{part}": name
    for place, name in (("DbtrAcct", "debtor_account"), ("CdtrAcct", "creditor_account"))
    for part in ACCOUNT_PARTS
}
_RETURN_REASONS = ("Rsn/Cd", "Rsn/Prtry", "RtrRsn/Cd", "RtrRsn/Prtry")
_AGENTS = {
    "RltdAgts/DbtrAgt": "debtor_agent",
    "RltdAgts/CdtrAgt": "creditor_agent",
    "RltdAgts/InstgAgt": "instructing_agent",
    "RltdAgts/InstdAgt": "instructed_agent",
}
_SLOTS = (
    reference_slots("Refs", _AGENTS)
    | _PARTIES
    | _ACCOUNTS
    | {f"RtrInf/{part}": "return_reason" for part in _RETURN_REASONS}
)


def read_detail(record: Record, head: EntryHead, position: Position) -> Detail:
    """The parts of a <TxDtls> that a line keeps."""
    fields = record.fields
    indicator = fields.get("CdtDbtInd") or head.indicator
    own, other, instructed = _own_amount(record, head.currency)
    side = sign(indicator)
    found = references(record, _SLOTS, "Refs")
    debtor, creditor = found.pop("debtor", ""), found.pop("creditor", "")
    creditor_reference, words = remittance(record)
    if creditor_reference:
        found["creditor_reference"] = creditor_reference
    return Detail(
        position,
        None if own is None else own * side,
        found,
        words or fields.get("AddtlTxInf", "")[:DESCRIPTION_CHARS_MAX],
        (debtor or found.get("debtor_account", ""))
        if indicator == "CRDT"
        else (creditor or found.get("creditor_account", "")),
        day(settled) if (settled := record.first("RltdDts/IntrBkSttlmDt", "RltdDts/TxDtTm")) else None,
        bank_code(record),
        _charges(record, head.currency),
        other,
        None if instructed is None else instructed * side,
    )


_AMOUNTS = tuple((path, f"{path}@Ccy") for path in ("Amt", "AmtDtls/TxAmt/Amt", "AmtDtls/InstdAmt/Amt"))
_INSTRUCTED = _AMOUNTS[-1][0]


def _own_amount(record: Record, currency: str) -> tuple[int | None, str, int | None]:
    """Minor units in the entry's currency, the amount as written in another one, and what was ordered without them."""
    own, other, instructed = None, "", None
    for path, attribute in _AMOUNTS:
        written = record.fields.get(path)
        if written is None:
            continue
        code = record.fields.get(attribute) or currency
        if code != currency:
            other = other or f"{written} {code}"
        elif own is None and path != _INSTRUCTED:
            own = unsigned_minor(written, currency)
        elif own is None:
            instructed = unsigned_minor(written, currency)
    return own, other, instructed


def _charges(record: Record, currency: str) -> int | None:
    """Charges in the entry's currency; none when none are stated or they are in another one."""
    for path in ("Chrgs/TtlChrgsAndTaxAmt", "Chrgs/Rcrd/Amt", "Chrgs/Amt"):
        stated = amount(record, path, currency) if path in record.fields else None
        if stated is not None:
            more = [
                (minor(text, code or currency), code or currency) for one, text, code in record.repeats if one == path
            ]
            parts = [stated, *more] if path != "Chrgs/TtlChrgsAndTaxAmt" else [stated]
            return sum(total for total, _ in parts) if all(code == currency for _, code in parts) else None
    return None


def entry_line(head: EntryHead, detail: Detail, statement: int, amount_minor: int, position: Position) -> Line:
    """A line of an entry and the one transaction that it is about."""
    return Line(
        statement=statement,
        amount_minor=amount_minor,
        currency=head.currency,
        booking_date=head.booking_date,
        value_date=head.value_date or detail.value_date,
        references={**head.references, **detail.references} if head.references else dict(detail.references),
        description=detail.description,
        position=position,
        type=detail.type or head.type,
        status=head.status,
        fee_minor=head.fee_minor if detail.fee_minor is None else detail.fee_minor,
        counterparty=detail.counterparty,
        reversal=head.reversal,
        original_amount=detail.original_amount or head.original_amount,
    )
