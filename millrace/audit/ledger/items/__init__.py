"""The open items of the books, followed statement by statement."""

from millrace.audit.ledger.items.statements import Items as Items
from millrace.audit.ledger.items.statements import Stated as Stated
from millrace.audit.ledger.items.statements import followed as followed
