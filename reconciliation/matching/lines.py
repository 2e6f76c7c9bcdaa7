"""One line of one side, as every source's lines look to the matcher. Amounts are signed integers of minor units."""

from datetime import date

from msgspec import Struct

from payments.money import EXPONENTS, format_minor


class Line(Struct, frozen=True, gc=False, omit_defaults=True):
    """`file` and `line` say where it stands; an empty text says that the source has no such column."""

    file: str
    line: int
    amount_minor: int
    currency: str
    date: date
    id: str = ""
    reference: str = ""
    keys: tuple[str, ...] = ()
    """Values of the rules' `group_by`, in their order."""
    entry: str = ""
    """The source's own number of this line: the same one twice is one line reported twice."""
    account: str = ""
    type: str = ""
    status: str = ""
    gross_minor: int | None = None
    fee_minor: int | None = None
    original_minor: int | None = None
    original_currency: str = ""
    key: str = ""
    """Of a line of a run: what it is in every run. No pass looks at it, nor at the next two."""
    row: str = ""
    """A line_id, or a journal and its leg."""
    party: str = ""
    """Whose line it is: an account of the operator, or a source and its account."""

    @property
    def is_fee(self) -> bool:
        """It carries the fee of another line of its id and moves nothing else."""
        return self.gross_minor == 0 and bool(self.fee_minor)

    @property
    def place(self) -> tuple[str, int]:
        """The order of every answer."""
        return self.file, self.line


def total_minor(lines: "tuple[Line, ...] | list[Line]") -> int:
    """Of lines of one currency."""
    return sum(line.amount_minor for line in lines)


def shown(minor: int, currency: str) -> str:
    """An amount as people write it; in minor units where the currency is none that we have."""
    return f"{format_minor(minor, currency) if currency in EXPONENTS else minor} {currency}"
