"""camt.052, 053 and 054 of every version → lines and statements.

A line is what happened once: a transaction of a batch entry where each has its own amount in the entry's currency, the
entry otherwise. In statements and reports, whose balances move by entries, a batch is opened only when its
transactions add up to it; a notification exists for its transactions, so they are the lines even when the bank cut the
list, and the entry's amount is the control total that says so.
"""

from collections.abc import Iterable, Iterator

from reconciliation.statements.iso20022.balances import Frame
from reconciliation.statements.iso20022.entries import Detail, EntryHead, entry_line, read_detail
from reconciliation.statements.iso20022.parts import DESCRIPTION_CHARS_MAX
from reconciliation.statements.iso20022.stream import Record, records
from reconciliation.statements.lines import BadLine, ControlTotal, Event, Position
from reconciliation.statements.refusals import Reason, Refused
from reconciliation.statements.source import Source

MESSAGES = {"BkToCstmrAcctRpt": "camt052", "BkToCstmrStmt": "camt053", "BkToCstmrDbtCdtNtfctn": "camt054"}
CONTAINERS = {"camt052": "Rpt", "camt053": "Stmt", "camt054": "Ntfctn"}
_KINDS = frozenset({*CONTAINERS.values(), "GrpHdr", "Bal", "Ntry", "TxDtls"})

DETAILS_KEPT_MAX = 10_000
"""Transactions of an entry that wait for its end, ~1 kB each: 10 MB. Longer batches go out as they come."""


class _Entry:
    """The entry being read: its head once, its transactions as they come."""

    def __init__(self, record: Record, frame: Frame) -> None:
        self.record = record
        self.frame = frame
        self.number = frame.entries
        self.path = f"{frame.record.name}[{frame.number + 1}]/Ntry[{self.number}]"
        self.head: EntryHead | None = None
        self.kept: list[Detail] = []
        self.details = 0
        self.split_minor = 0
        self.splits = False
        """More transactions than are kept have come, so the first ones have gone out as lines."""


class _Reader:
    """Statements of one message, in the order of the file."""

    def __init__(self, source: Source, message: str) -> None:
        self._source = source
        self._message = message
        self._container = CONTAINERS[message]
        self._frame: Frame | None = None
        self._entry: _Entry | None = None
        self._statements = 0
        self._paged = False

    def events(self) -> Iterator[Event]:
        for record in records(self._source, _KINDS):
            if record.name == "TxDtls":
                yield from self._detail(record)
            elif record.name == "Ntry":
                yield from self._close(self._entry_of(record))
            elif record.name == "Bal" and record.parent is not None:
                self._frame_of(record.parent).balances.append(record)
            elif record.name == self._container:
                yield from self._frame_of(record).close(self._message)
                self._frame = None
            elif record.name == "GrpHdr":
                self._paged = is_page(record, "MsgPgntn")
        if not self._statements:
            raise Refused(Reason.NO_STATEMENT, "the message has no statement, report or notification in it")

    def _frame_of(self, record: Record) -> Frame:
        if self._frame is None:
            self._frame = Frame(self._statements, record, paged=self._paged)
            self._statements += 1
        return self._frame

    def _entry_of(self, record: Record) -> _Entry:
        """The entry that a record is or stands in."""
        if self._entry is not None and self._entry.record in (record, record.parent):
            return self._entry
        entry = record if record.name == "Ntry" else record.within("Ntry")
        container = record.within(self._container)
        if entry is None or container is None:
            raise Refused(
                Reason.STRUCTURE, f"line {record.line}: <{record.name}> stands outside of <{self._container}>"
            )
        frame = self._frame_of(container)
        frame.entries += 1
        self._entry = _Entry(entry, frame)
        return self._entry

    def _detail(self, record: Record) -> Iterable[Event]:
        entry = self._entry_of(record)
        entry.details += 1
        position = Position(record.line, f"{entry.path}/TxDtls[{entry.details}]")
        try:
            if entry.head is None:
                entry.head = EntryHead(entry.record)
            entry.kept.append(read_detail(record, entry.head, position))
        except Refused as refusal:
            return [BadLine(position, str(refusal))]
        if len(entry.kept) <= DETAILS_KEPT_MAX:
            return ()
        entry.splits = True
        return self._split(entry.head, entry)

    def _split(self, head: EntryHead, entry: _Entry) -> Iterator[Event]:
        """The transactions that are kept, as lines of their own."""
        kept, entry.kept = entry.kept, []
        for detail in kept:
            if detail.amount_minor is None:
                sentence = f"one of more than {DETAILS_KEPT_MAX:,} transactions of an entry has no amount of its own"
                yield BadLine(detail.position, f"{Reason.FIELD}: {sentence}")
                continue
            entry.split_minor += detail.amount_minor
            yield entry_line(head, detail, entry.frame.number, detail.amount_minor, detail.position)

    def _close(self, entry: _Entry) -> Iterator[Event]:
        position = Position(entry.record.line, entry.path)
        try:
            head = entry.head or EntryHead(entry.record)
        except Refused as refusal:
            yield BadLine(position, str(refusal))
            return
        entry.frame.count(head)
        if entry.splits or self._opens(entry, head):
            yield from self._split(head, entry)
            if entry.split_minor != head.amount_minor:
                name = f"transactions of entry {entry.number}"
                entry.frame.totals.append(ControlTotal(name, head.amount_minor, entry.split_minor))
            return
        detail = entry.kept[0] if len(entry.kept) == 1 else Detail(position)
        if not detail.description:
            detail = detail._replace(description=entry.record.first("AddtlNtryInf")[:DESCRIPTION_CHARS_MAX])
        yield entry_line(head, detail, entry.frame.number, head.amount_minor, position)

    def _opens(self, entry: _Entry, head: EntryHead) -> bool:
        """Whether a batch is listed transaction by transaction."""
        amounts = [detail.amount_minor for detail in entry.kept]
        if len(amounts) < 2:
            return False
        if None in amounts:
            return _opens_by_orders(entry, head)
        return self._message == "camt054" or sum(filter(None, amounts)) == head.amount_minor


def _opens_by_orders(entry: _Entry, head: EntryHead) -> bool:
    """What was ordered stands for transactions without an amount, only where it adds up: charges may lie between."""
    amounts = [one.instructed_minor if one.amount_minor is None else one.amount_minor for one in entry.kept]
    if None in amounts or sum(filter(None, amounts)) != head.amount_minor:
        return False
    entry.kept = [one._replace(amount_minor=minor) for one, minor in zip(entry.kept, amounts, strict=True)]
    return True


def is_page(record: Record, folder: str) -> bool:
    """Whether a message or statement is one of several pages, so that its totals are of more than itself."""
    return record.first(f"{folder}/PgNb") not in {"", "1"} or record.first(f"{folder}/LastPgInd") == "false"


def parse_camt(source: Source, message: str) -> Iterator[Event]:
    """Events of a camt message. Raises Refused."""
    return _Reader(source, message).events()
