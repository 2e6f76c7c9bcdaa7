"""Plays a story written as lines of text through the real decisions, and shows the books as lines of text again.

Reads `anna pays bert 2.50`, `anna opens EUR` and the like; keeps one book per shard and the money between them; shows
entries, journal and balances. Guarantees that the journal balances after every line.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal

from payments.book import Book, evolve
from payments.commands import NO_REPLY, Command, CommandKind
from payments.entries import Credit, Entry, EntryKind, Source
from payments.identifiers import NIL, derive_operation_id, is_system
from payments.lifecycle import decide, post, take_back
from payments.money import EXPONENTS, format_minor
from payments.postings import Posting, clearing_account, postings
from payments.rejections import Reason

NAMES = ("anna", "bert", "carl", "dora")
SHARD_OF = {"anna": 0, "bert": 1, "carl": 0, "dora": 1}
"""Payments between anna and carl stay in one shard; those to bert and dora travel."""

_ACCOUNTS = {name: bytes([0x70 + number]) * 16 for number, name in enumerate(NAMES)}
_NAMES = {account: name for name, account in _ACCOUNTS.items()}
_CHANGES = {
    "freezes": CommandKind.FREEZE_ACCOUNT,
    "unfreezes": CommandKind.UNFREEZE_ACCOUNT,
    "closes": CommandKind.CLOSE_ACCOUNT,
}


class Books:
    """Two shards and the credits and returns between them."""

    def __init__(self, currency: str = "EUR") -> None:
        self.currency = currency
        self.entries: list[Entry] = []
        self._books = (Book(), Book())
        self._credits: list[Credit] = []
        self._returns: list[Credit] = []
        self._keys = (f"key {number}" for number in range(10_000))

    def play(self, story: str) -> list[str]:
        """Each line of the story; `deliver` lets the money in flight arrive. Returns the entries that it made."""
        before = len(self.entries)
        for line in filter(None, (part.strip() for part in story.strip().splitlines())):
            self._line(line)
            assert self.trial_balance() == 0, f"the journal does not balance after: {line}"
        return [self.shown(entry) for entry in self.entries[before:]]

    def _line(self, line: str) -> None:
        if line == "deliver":
            self._deliver()
            return
        line, _, key = line.partition(" as ")
        who, verb, *rest = line.split()
        self._decided(self._command(who, verb, rest, key or next(self._keys)))

    def _command(self, who: str, verb: str, rest: list[str], key: str) -> Command:
        account = _ACCOUNTS[who]
        if verb == "opens":
            currency = rest[0]
            return Command(CommandKind.OPEN_ACCOUNT, account, NIL, 0, currency, NO_REPLY, key)
        if verb == "pays":
            payee = clearing_account(self.currency) if rest[0] == "cash" else _ACCOUNTS[rest[0]]
            return Command(CommandKind.TRANSFER, account, payee, self._minor(rest[1]), self.currency, NO_REPLY, key)
        if verb == "deposits":
            clearing = clearing_account(self.currency)
            return Command(CommandKind.DEPOSIT, clearing, account, self._minor(rest[0]), self.currency, NO_REPLY, key)
        if verb == "may-owe":
            limit = self._minor(rest[0])
            return Command(CommandKind.SET_OVERDRAFT_LIMIT, account, NIL, limit, "", NO_REPLY, key)
        return Command(_CHANGES[verb], account, NIL, 0, "", NO_REPLY, key)

    def _minor(self, amount: str) -> int:
        return int(Decimal(amount).scaleb(EXPONENTS[self.currency]))

    def _decided(self, command: Command) -> None:
        shard = SHARD_OF[_NAMES[command.authority]]
        operation = derive_operation_id(command.authority, command.idempotency_key, shard)
        entry = self._keep(shard, lambda book, source: decide(book, operation, command, source))
        if entry.kind is EntryKind.RESERVED:
            fields = (operation, command.payer, command.payee, command.amount_minor, command.currency)
            self._credits.append(Credit(*fields, NO_REPLY))

    def _deliver(self) -> None:
        """Credits first, then what came back of them: each at the shard of its account."""
        while self._credits:
            credit = self._credits.pop(0)
            entry = self._arrive(credit)
            if entry.kind is EntryKind.REFUSED:
                self._returns.append(credit._replace(reason=entry.reason))
        while self._returns:
            self._come_back(self._returns.pop(0))

    def _arrive(self, credit: Credit) -> Entry:
        home = credit.payer if is_system(credit.payee) else credit.payee
        return self._keep(SHARD_OF[_NAMES[home]], lambda book, source: post(book, credit, source))

    def _come_back(self, credit: Credit) -> Entry:
        return self._keep(SHARD_OF[_NAMES[credit.payer]], lambda book, source: take_back(book, credit, source))

    def _keep(self, shard: int, decided: Callable[[Book, Source], Entry]) -> Entry:
        entry = decided(self._books[shard], Source(len(self.entries), 0, 1_700_000_000_000_000))
        evolve(self._books[shard], entry)
        self.entries.append(entry)
        return entry

    def shown(self, entry: Entry) -> str:
        """`posted anna → bert 2.50`, `rejected anna → bert 2.50 insufficient_funds`, `account_opened anna`."""
        moves = entry.credit_account != NIL
        sides = " → ".join(_name(one) for one in (entry.debit_account, entry.credit_account) if one != NIL)
        amount = f" {format_minor(entry.amount_minor, self.currency)}" if moves or entry.amount_minor else ""
        reason = f" {entry.reason}" if entry.reason is not Reason.NONE else ""
        return f"{entry.kind.name.lower()} {sides}{amount}{reason}"

    def journal(self) -> list[str]:
        """`Dr anna Cr bert 2.50` per journal entry, in their order."""
        return [
            f"Dr {_name(debit.account)} Cr {_name(credit.account)} {format_minor(credit.amount_minor, self.currency)}"
            for debit, credit in self._legs()
        ]

    def _legs(self) -> Iterator[tuple[Posting, Posting]]:
        for entry in self.entries:
            legs = postings(entry)
            if legs:
                debit, credit = legs
                yield debit, credit

    def trial_balance(self) -> int:
        """Sum of all postings: nothing, or money appeared."""
        return sum(leg.amount_minor for legs in self._legs() for leg in legs)

    def balances(self) -> dict[str, str]:
        """`{"anna": "posted available"}`, and the operator's clearing account as posted alone."""
        posted: Counter[str] = Counter()
        for legs in self._legs():
            for leg in legs:
                posted[_name(leg.account)] += leg.amount_minor
        shown = {}
        for name in NAMES:
            account = self._books[SHARD_OF[name]].accounts.get(_ACCOUNTS[name])
            if account is not None:
                shown[name] = f"{self._text(posted[name])} {self._text(account.available_minor)}"
        if "cash" in posted:
            shown["cash"] = self._text(posted["cash"])
        return shown

    def _text(self, minor: int) -> str:
        return format_minor(minor, self.currency)


def _name(account: bytes) -> str:
    return "cash" if is_system(account) else _NAMES[account]
