"""Parts that messages have in common: amounts with a currency, signs, dates, references, remittance. Pure."""

from functools import cache

from reconciliation.statements.iso20022.stream import Record
from reconciliation.statements.lines import NO_REFERENCE
from reconciliation.statements.refusals import Reason, Refused
from reconciliation.statements.values import day, minor

DESCRIPTION_CHARS_MAX = 4_000
"""Remittance may repeat without end; 140 characters × 28 are more than any clearing passes on."""

REFERENCES = {
    "MsgId": "message_id",
    "AcctSvcrRef": "account_servicer_reference",
    "PmtInfId": "payment_information_id",
    "InstrId": "instruction_id",
    "EndToEndId": "end_to_end_id",
    "UETR": "uetr",
    "TxId": "transaction_id",
    "MndtId": "mandate_id",
    "ChqNb": "cheque_number",
    "ClrSysRef": "clearing_system_reference",
    "AcctOwnrTxId": "account_owner_transaction_id",
    "AcctSvcrTxId": "account_servicer_transaction_id",
    "MktInfrstrctrTxId": "market_infrastructure_transaction_id",
    "PrcgId": "processing_id",
}
ACCOUNT_PARTS = ("Id/IBAN", "Id/Othr/Id", "Id/BBAN", "Id/UPIC", "Id/PrtryAcct/Id", "Prxy/Id")
_AGENT_PARTS = ("BICFI", "BIC", "ClrSysMmbId/MmbId", "ClrSysMmbId/Id", "CmbndId/BIC", "Othr/Id", "PrtryId/Id", "Nm")


def reference_slots(folder: str, agents: dict[str, str]) -> dict[str, str]:
    """Path → name of each identification under a folder, and of the banks at these places."""
    slots = {f"{folder}/{part}": name for part, name in REFERENCES.items()}
    return slots | {f"{place}/FinInstnId/{part}": name for place, name in agents.items() for part in _AGENT_PARTS}


_SIGNS = {"CRDT": 1, "DBIT": -1}


def amount(record: Record, path: str, currency: str = "") -> tuple[int, str] | None:
    """Minor units and currency of <Amt Ccy="EUR">12.50</Amt>, in `currency` when it says none; None when not there."""
    written = record.fields.get(path)
    if written is None:
        return None
    code = record.fields.get(path + "@Ccy") or currency
    return unsigned_minor(written, code), code


def unsigned_minor(written: str, currency: str) -> int:
    """Minor units of an amount whose side is told by CdtDbtInd: with a minus it would have two. Raises Refused."""
    magnitude = minor(written, currency)
    if magnitude < 0:
        raise Refused(Reason.AMOUNT, f"{written[:40]!r} is negative; CdtDbtInd alone says the side")
    return magnitude


def sign(indicator: str) -> int:
    """+1 for a credit, −1 for a debit."""
    if (direction := _SIGNS.get(indicator)) is None:
        raise Refused(Reason.FIELD, f"CdtDbtInd {indicator[:20]!r} is neither CRDT nor DBIT")
    return direction


def day_of(record: Record, *paths: str) -> str | None:
    """The day of the first path that has a choice of Dt and DtTm, or a plain date."""
    for path in paths:
        if written := record.first(f"{path}/Dt", f"{path}/DtTm", path):
            return day(written)
    return None


def references(record: Record, slots: dict[str, str], folder: str) -> dict[str, str]:
    """The identifications of a record by plain names, and proprietary ones under a folder by their own.

    One pass over the texts that are there: a transaction has some ten, and could have fifty.
    """
    found: dict[str, str] = {}
    for path, value in record.fields.items():
        if (name := slots.get(path)) is not None and value not in NO_REFERENCE:
            found.setdefault(name, value)
    if (kind := f"{folder}/Prtry/Tp") in record.fields:
        found.update(zip(record.all(kind), record.all(f"{folder}/Prtry/Ref"), strict=False))
    return found


def remittance(record: Record) -> tuple[str, str]:
    """Creditor reference, and everything that the payer wrote."""
    fields = record.fields
    words = record.all("RmtInf/Ustrd") if "RmtInf/Ustrd" in fields else []
    reference = fields.get("RmtInf/Strd/CdtrRefInf/Ref") or fields.get("RmtInf/Strd/CdtrRefInf/CdtrRef", "")
    if reference:
        words += [reference]
    if "RmtInf/Strd/AddtlRmtInf" in fields:
        words += record.all("RmtInf/Strd/AddtlRmtInf")
    return reference, " ".join(words)[:DESCRIPTION_CHARS_MAX]


@cache
def _account_paths(folder: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{part}" for part in ACCOUNT_PARTS)


@cache
def _agent_paths(folders: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{folder}/FinInstnId/{part}" for folder in folders for part in _AGENT_PARTS)


def account(record: Record, folder: str) -> str:
    """IBAN of an account, or whatever else identifies it."""
    return record.first(*_account_paths(folder))


def agent(record: Record, *folders: str) -> str:
    """BIC of the first bank that is there, or its number in a clearing system, or its name."""
    return record.first(*_agent_paths(folders))


def bank_code(record: Record) -> str:
    """Bank transaction code: domain/family/sub-family, and the bank's own code after it."""
    get = record.fields.get
    if (own := get("BkTxCd/Prtry/Cd")) is None and "BkTxCd/Domn/Cd" not in record.fields:
        return ""
    domain = (get("BkTxCd/Domn/Cd"), get("BkTxCd/Domn/Fmly/Cd"), get("BkTxCd/Domn/Fmly/SubFmlyCd"))
    return " ".join(part for part in ("/".join(filter(None, domain)), own) if part)
