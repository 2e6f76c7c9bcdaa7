"""What limits and rules would say of a transfer: decided where the payer is, and nothing comes of it."""

from payments.book import Book
from payments.entries import EntryKind, Source
from payments.items.details import Assessed
from payments.movements.assessing import assessed
from payments.movements.deeds import Deed, available_of
from payments.movements.instructions import AssessTransfer
from payments.movements.transfers import plain
from payments.rejections import Reason


def advise(book: Book, operation_id: bytes, asked: AssessTransfer, source: Source) -> Deed:
    """The reason with which the transfer would be refused or held now, and the verdict where there is one."""
    decided = assessed(
        book, operation_id, asked.headline, plain(book, operation_id, asked, source), source, asked.envelope.attributes
    )
    details, reason = ((), decided) if isinstance(decided, Reason) else (decided.details, decided.reason)
    verdict = tuple(detail for detail in details if isinstance(detail, Assessed))
    return Deed(EntryKind.ADVISED, *asked.headline, available_of(book, asked.payer), verdict, reason)
