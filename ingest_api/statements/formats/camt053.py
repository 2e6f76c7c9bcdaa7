"""A statement as ISO 20022 camt.053.001.08 (BankToCustomerStatement), the form in which bookkeeping programs take it.

Balances: OPBD and CLBD (booked), CLAV (available at the end). Every entry is booked (BOOK), has a bank transaction code
of the ISO list and the kind as proprietary code; its references are the ids of journal entry and payment.
"""

import re
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import count
from typing import Final
from xml.sax.saxutils import escape

from ingest_api.http.resources import account_text, rfc3339
from ingest_api.statements.formats.rendering import Head, Turnover
from ingest_api.statements.kinds import LineKind
from ingest_api.statements.line import Line
from ingest_api.statements.totals import Totals
from payments.identifiers import JOURNAL, PAYMENT, format_id
from payments.money import format_minor
from payments.terms.methods import METHOD_OF, Method

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
_ISSUER: Final = "Millrace"
_TEXT_MAX: Final = 140
"""Max140Text, of which an entry may have any number."""

_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML 1.0 §2.2: characters that no document may hold, escaped or not."""

_BOOKED_WITHIN: Final = "BOOK"
_RETURNED: Final = "RRTN"
_SUBFAMILIES: Final = {
    LineKind.TRANSFER: _BOOKED_WITHIN,
    LineKind.PAYMENT: _BOOKED_WITHIN,
    LineKind.REFUND: _RETURNED,
    LineKind.DEPOSIT_RETURNED: _RETURNED,
}
_MISCELLANEOUS: Final = {
    LineKind.DISPUTE: "ADJT",
    LineKind.JOURNAL: "OTHR",
    LineKind.DEBT_RECOVERED: "OTHR",
}
"""Neither a credit transfer nor cash over the counter."""


class Camt053Statement:
    """One message with one statement, whatever its length: it is never cut into pages."""

    entries_max = sys.maxsize

    def __init__(self) -> None:
        self._currency = ""
        self._numbers = count(1)

    def head(self, head: Head) -> bytes:
        self._currency = head.currency
        identity = f"{head.period}-{account_text(head.account)[4:]}"  # 34 of at most 35 characters
        return "".join(
            (
                '<?xml version="1.0" encoding="UTF-8"?>\n',
                f'<Document xmlns="{NAMESPACE}"><BkToCstmrStmt>',
                f"<GrpHdr><MsgId>{identity}</MsgId><CreDtTm>{rfc3339(head.as_of)}</CreDtTm></GrpHdr>",
                f"<Stmt><Id>{identity}</Id><CreDtTm>{rfc3339(head.as_of)}</CreDtTm>",
                f"<FrToDt><FrDtTm>{rfc3339(head.start)}</FrDtTm><ToDtTm>{rfc3339(head.end)}</ToDtTm></FrToDt>",
                f"<Acct>{_account(account_text(head.account))}<Ccy>{head.currency}</Ccy></Acct>",
                self._balance("OPBD", head.opening_minor, head.start),
                self._balance("CLBD", head.closing_minor, head.end - timedelta(days=1)),
                self._balance("CLAV", head.available_minor, head.end - timedelta(days=1)),
                self._summary(head.credits, head.debits),
                "\n",
            )
        ).encode()

    def lines(self, lines: Sequence[Line]) -> bytes:
        return "".join(self._entry(line) for line in lines).encode()

    def foot(self, totals: Totals) -> bytes:
        del totals  # this format has them in its head
        return b"</Stmt></BkToCstmrStmt></Document>\n"

    def _balance(self, code: str, minor: int, on: date) -> str:
        tagged = f"<Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{self._amount(minor)}{_side(minor)}"
        return f"<Bal>{tagged}<Dt><Dt>{on:%Y-%m-%d}</Dt></Dt></Bal>"

    def _summary(self, credits: Turnover, debits: Turnover) -> str:
        net_minor = credits.amount_minor - debits.amount_minor
        both = Turnover(credits.entries + debits.entries, credits.amount_minor + debits.amount_minor)
        net = f"<TtlNetNtry><Amt>{format_minor(abs(net_minor), self._currency)}</Amt>{_side(net_minor)}</TtlNetNtry>"
        return (
            f"<TxsSummry><TtlNtries>{self._sum(both)}{net}</TtlNtries><TtlCdtNtries>{self._sum(credits)}</TtlCdtNtries>"
            f"<TtlDbtNtries>{self._sum(debits)}</TtlDbtNtries></TxsSummry>"
        )

    def _sum(self, turnover: Turnover) -> str:
        total = format_minor(turnover.amount_minor, self._currency)
        return f"<NbOfNtries>{turnover.entries}</NbOfNtries><Sum>{total}</Sum>"

    def _entry(self, line: Line) -> str:
        amount = self._amount(line.amount_minor) + _side(line.amount_minor)
        journal, payment = (format_id(prefix, line.journal_id) for prefix in (JOURNAL, PAYMENT))
        at = line.place.posted_at
        references = f"<Refs><AcctSvcrRef>{journal}</AcctSvcrRef><TxId>{payment}</TxId></Refs>"
        details = f"<TxDtls>{references}{amount}{self._charges(line)}{_party(line)}{_remittance(line)}</TxDtls>"
        return (
            f"<Ntry><NtryRef>{next(self._numbers)}</NtryRef>{amount}<Sts><Cd>BOOK</Cd></Sts>"
            f"<BookgDt><DtTm>{rfc3339(at)}</DtTm></BookgDt><ValDt><Dt>{at:%Y-%m-%d}</Dt></ValDt>"
            f"<AcctSvcrRef>{journal}</AcctSvcrRef>{_transaction_code(line)}<NtryDtls>{details}</NtryDtls></Ntry>\n"
        )

    def _amount(self, minor: int) -> str:
        return f'<Amt Ccy="{self._currency}">{format_minor(abs(minor), self._currency)}</Amt>'

    def _charges(self, line: Line) -> str:
        return f"<Chrgs><Rcrd>{self._amount(line.fee_minor)}</Rcrd></Chrgs>" if line.fee_minor else ""


def _side(minor: int) -> str:
    return f"<CdtDbtInd>{'DBIT' if minor < 0 else 'CRDT'}</CdtDbtInd>"


def _account(text: str) -> str:
    return f"<Id><Othr><Id>{text}</Id></Othr></Id>"


def _transaction_code(line: Line) -> str:
    """Domain, family and sub-family of the ISO external code set, and our own word."""
    family, subfamily = _family(line)
    domain = f"<Domn><Cd>PMNT</Cd><Fmly><Cd>{family}</Cd><SubFmlyCd>{subfamily}</SubFmlyCd></Fmly></Domn>"
    return f"<BkTxCd>{domain}<Prtry><Cd>{line.kind}</Cd><Issr>{_ISSUER}</Issr></Prtry></BkTxCd>"


def _family(line: Line) -> tuple[str, str]:
    is_credit = line.amount_minor > 0
    if line.kind in _MISCELLANEOUS:
        return "MCOP" if is_credit else "MDOP", _MISCELLANEOUS[line.kind]
    if line.counterparty is not None and METHOD_OF.get(line.counterparty) is Method.CASH:
        return "CNTR", "CDPT" if is_credit else "CWDL"
    # What comes back reverses what went the other way.
    came_in = is_credit is not (_SUBFAMILIES.get(line.kind) == _RETURNED)
    return "RCDT" if came_in else "ICDT", _SUBFAMILIES.get(line.kind, "OTHR")


def _party(line: Line) -> str:
    """The other account, as debtor of a credit and creditor of a debit."""
    if line.counterparty is None:
        return ""
    side = "Dbtr" if line.amount_minor > 0 else "Cdtr"
    name = _text(line.counterparty_name)
    named = f"<{side}><Pty><Nm>{name}</Nm></Pty></{side}>" if name else ""
    return f"<RltdPties>{named}<{side}Acct>{_account(account_text(line.counterparty))}</{side}Acct></RltdPties>"


def _remittance(line: Line) -> str:
    text = line.description
    parts = [text[start : start + _TEXT_MAX] for start in range(0, len(text), _TEXT_MAX)]
    return f"<RmtInf>{''.join(f'<Ustrd>{_text(part)}</Ustrd>' for part in parts)}</RmtInf>" if parts else ""


def _text(text: str) -> str:
    """Any text as XML character data. A carriage return would be read as a line feed unless it is escaped."""
    return escape(_NOT_XML.sub("\ufffd", text), {"\r": "&#13;"})
