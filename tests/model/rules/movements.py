"""Accounts, deposits and transfers as the documents describe them: what each does, or why it is refused."""

from payments.accounts import AccountStatus, AccountType
from payments.commands import Command, CommandKind
from payments.entries import Credit, EntryKind
from payments.identifiers import NIL, system_account
from payments.items.details import Cause, CauseKind, Detail, Legs, Opening, Posting
from payments.money import EXPONENTS, MAX_MINOR
from payments.movements.instructions import AttributedTransfer, OpenAccount, PricedTransfer, SetStanding
from payments.postings import SystemAccount
from payments.rejections import Reason
from payments.terms.methods import TERMS, Method
from tests.model.rules.effects import Effect, Parties
from tests.model.rules.state import OPERATORS, Account, Deposit, Payment, State, deposit_item, is_operators

CLEARING: dict[bytes, Method] = {
    system_account(terms.clearing, currency): method for method, terms in TERMS.items() for currency in EXPONENTS
}
GIVES_NOTHING = {
    AccountStatus.FROZEN: Reason.ACCOUNT_FROZEN,
    AccountStatus.CLOSED: Reason.ACCOUNT_CLOSED,
    AccountStatus.DEBITS_FROZEN: Reason.ACCOUNT_DEBITS_FROZEN,
    AccountStatus.DORMANT: Reason.ACCOUNT_DORMANT,
}
TAKES_NOTHING = {AccountStatus.FROZEN: Reason.PAYEE_FROZEN, AccountStatus.CLOSED: Reason.PAYEE_CLOSED}
STANDINGS = {
    CommandKind.FREEZE_ACCOUNT: (EntryKind.ACCOUNT_FROZEN, AccountStatus.FROZEN),
    CommandKind.UNFREEZE_ACCOUNT: (EntryKind.ACCOUNT_UNFROZEN, AccountStatus.OPEN),
    CommandKind.CLOSE_ACCOUNT: (EntryKind.ACCOUNT_CLOSED, AccountStatus.CLOSED),
}


def is_amount(amount: int) -> bool:
    return 1 <= amount <= MAX_MINOR


def cannot_give(state: State, payer: bytes, amount: int, currency: str) -> Reason | None:
    """Why an account can't be debited of its own will."""
    account = state.accounts.get(payer)
    if account is None:
        return Reason.ACCOUNT_NOT_FOUND
    if account.standing in GIVES_NOTHING:
        return GIVES_NOTHING[account.standing]
    if account.currency != currency:
        return Reason.CURRENCY_MISMATCH
    return None if amount <= account.available + account.limit else Reason.INSUFFICIENT_FUNDS


def cannot_take(state: State, payee: bytes, amount: int, currency: str) -> Reason | None:
    """Why an account can't be credited."""
    account = state.accounts.get(payee)
    if account is None:
        return Reason.PAYEE_NOT_FOUND
    if account.standing in TAKES_NOTHING:
        return TAKES_NOTHING[account.standing]
    if account.currency != currency:
        return Reason.PAYEE_CURRENCY_MISMATCH
    return None if account.available + amount <= MAX_MINOR else Reason.BALANCE_LIMIT_EXCEEDED


def cannot_pay(state: State, parties: Parties) -> Reason | None:
    """Why one can't pay the other, as far as the payer's side knows."""
    payer, payee, amount, currency = parties
    if not is_amount(amount):
        return Reason.AMOUNT_INVALID
    if is_operators(payer):
        return Reason.ACCOUNT_RESERVED
    if payer == payee:
        return Reason.SAME_ACCOUNT
    if is_operators(payee) and payee not in OPERATORS:
        return Reason.PAYEE_NOT_FOUND
    if is_operators(payee) and OPERATORS[payee] != currency:
        return Reason.PAYEE_CURRENCY_MISMATCH
    return cannot_give(state, payer, amount, currency)


def send(state: State, operation_id: bytes, parties: Parties, reply_to: bytes, *details: Detail) -> Credit:
    """Take the amount from the payer and send it on its way."""
    state.move(parties.debit, -parties.amount)
    return credit_of(operation_id, parties, reply_to, *details)


def credit_of(operation_id: bytes, parties: Parties, reply_to: bytes, *details: Detail) -> Credit:
    """On its way; who waits for the answer is told at its end."""
    return Credit(operation_id, *parties, reply_to, details=details)


def command(state: State, operation_id: bytes, asked: Command, time_us: int) -> Effect | Reason:
    """Transfers, deposits and the standing of accounts."""
    parties = Parties(asked.payer, asked.payee, asked.amount_minor, asked.currency)
    match asked.kind:
        case CommandKind.TRANSFER:
            return transfer(state, operation_id, parties, asked.reply_to)
        case CommandKind.DEPOSIT:
            return deposit(state, operation_id, parties, time_us)
        case CommandKind.OPEN_ACCOUNT:
            return _opened(state, parties, AccountType.CHECKING)
        case CommandKind.SET_OVERDRAFT_LIMIT:
            return _limit(state, parties)
        case _:
            return _standing(state, asked.kind, parties)


def transfer(state: State, operation_id: bytes, parties: Parties, reply_to: bytes, *legs: Posting) -> Effect | Reason:
    """What the payer gives is on its way; `legs` where more than two accounts share in it."""
    refusal = cannot_pay(state, parties)
    if refusal is not None:
        return refusal
    details = (Legs(legs),) if legs else ()
    message = send(state, operation_id, parties, reply_to, *details)
    return Effect(EntryKind.RESERVED, parties, parties.debit, details, messages=(message,))


def attributed(state: State, operation_id: bytes, asked: AttributedTransfer, _: int) -> Effect | Reason:
    """How it was asked for is a matter of the rules alone."""
    parties = Parties(asked.payer, asked.payee, asked.amount_minor, asked.currency)
    return transfer(state, operation_id, parties, asked.envelope.reply_to)


def priced(state: State, operation_id: bytes, asked: PricedTransfer, time_us: int) -> Effect | Reason:
    """One debit of the payer before one credit of the payee; the rest is between accounts of the operator."""
    if asked.valid_until_us != 0 and time_us >= asked.valid_until_us:
        return Reason.QUOTE_EXPIRED
    if not 2 <= len(asked.legs) <= 8:
        return Reason.LEGS_INVALID
    if is_operators(asked.payee) and asked.payee not in CLEARING:  # money leaves by a method, or not at all
        return Reason.LEGS_INVALID
    theirs = [leg for leg in asked.legs if leg.account in {asked.payer, asked.payee}]
    if [leg.account for leg in theirs] != [asked.payer, asked.payee]:
        return Reason.LEGS_INVALID
    if theirs[0].amount_minor >= 0 or theirs[1].amount_minor <= 0:
        return Reason.LEGS_INVALID
    for leg in asked.legs:
        if not is_amount(abs(leg.amount_minor)):
            return Reason.AMOUNT_INVALID
        is_methods = leg.account == asked.payee and asked.payee in CLEARING
        if (is_methods or leg not in theirs) and OPERATORS.get(leg.account) != leg.currency:
            return Reason.LEGS_INVALID
    if not balances(asked.legs):
        return Reason.JOURNAL_UNBALANCED
    return transfer(state, operation_id, named(asked), asked.envelope.reply_to, *asked.legs)


def named(asked: PricedTransfer) -> Parties:
    """What the payer is debited."""
    for leg in asked.legs:
        if leg.account == asked.payer:
            return Parties(asked.payer, asked.payee, -leg.amount_minor, leg.currency)
    return Parties(asked.payer, asked.payee)


def balances(legs: tuple[Posting, ...]) -> bool:
    return all(
        sum(leg.amount_minor for leg in legs if leg.currency == currency) == 0
        for currency in {leg.currency for leg in legs}
    )


def deposit(state: State, operation_id: bytes, parties: Parties, time_us: int) -> Effect | Reason:
    """Posted at once; available at once where the method is sure of its money."""
    clearing, account, amount, currency = parties
    if not is_amount(amount):
        return Reason.AMOUNT_INVALID
    if clearing not in CLEARING:
        return Reason.PAYER_NOT_SYSTEM
    if OPERATORS[clearing] != currency:
        return Reason.CURRENCY_MISMATCH
    if is_operators(account):
        return Reason.ACCOUNT_RESERVED
    refusal = cannot_take(state, account, amount, currency)
    if refusal is not None:
        return refusal
    posted = state.post(Posting(clearing, -amount, currency), Posting(account, amount, currency))
    state.received(operation_id, Payment(*parties), time_us)
    if is_waited_for(clearing):
        waiting = state.deposits[state.at(account, operation_id)] = Deposit(account, amount, currency)
        item = deposit_item(operation_id, waiting)
        return Effect(EntryKind.POSTED_UNCOLLECTED, parties, account, (item,), posted)
    state.move(account, amount)
    return Effect(EntryKind.POSTED, parties, account, (), posted)


def is_waited_for(clearing: bytes) -> bool:
    """Whether deposits from this clearing account may still bounce."""
    return clearing in CLEARING and not TERMS[CLEARING[clearing]].is_collected_at_once


def arrived(state: State, message: Credit, time_us: int) -> Effect:
    """A credit is at its payee, who takes it or sends it back; what the operator sends never comes back."""
    parties = Parties(*message[1:5])
    details = message.details
    if is_operators(message.payee):
        return Effect(EntryKind.POSTED, parties, NIL, details, state.post(*_legs(message)))
    amount, currency = _what_arrives(message)
    refusal = cannot_take(state, message.payee, amount, currency)
    if refusal is None:
        state.move(message.payee, amount)
        posted = state.post(*_legs(message))
        kind = EntryKind.POSTED
        if state.accounts[message.payee].type is AccountType.MERCHANT and not _comes_back(message):
            kind = EntryKind.RECEIVED
            paid = (parties.amount, parties.currency) if currency == parties.currency else (amount, currency)
            state.received(message.operation_id, Payment(message.payer, message.payee, *paid), time_us)
        return Effect(kind, parties, message.payee, details, posted)
    if is_operators(message.payer):
        unclaimed = parties._replace(credit=system_account(SystemAccount.UNCLAIMED, message.currency))
        posted = state.post(*_two_legs(unclaimed))
        return Effect(EntryKind.POSTED, unclaimed, NIL, details, posted, refusal)
    back = message._replace(reason=refusal)
    return Effect(EntryKind.REFUSED, parties, message.payee, details, reason=refusal, messages=(back,))


def came_back(state: State, message: Credit) -> Effect:
    """A refused credit is with its payer again, always."""
    state.move(message.payer, message.amount_minor)
    details: tuple[Detail, ...] = message.details
    for cause in details:
        if not isinstance(cause, Cause) or cause.kind is not CauseKind.REFUND:
            continue
        if state.at(message.payer, cause.cause_id) in state.given_back:
            details = (*details, state.give_back(message.payer, cause.cause_id, refunded=-message.amount_minor))
    return Effect(EntryKind.RETURNED, Parties(*message[1:5]), message.payer, details, reason=message.reason)


def opened(state: State, _: bytes, asked: OpenAccount, __: int) -> Effect | Reason:
    """An account of a type."""
    parties = Parties(asked.account, NIL, asked.overdraft_limit_minor, asked.currency)
    effect = _opened(state, parties, asked.type)
    return effect if isinstance(effect, Reason) else effect._replace(details=(Opening(asked.type),))


def standing(state: State, _: bytes, asked: SetStanding, __: int) -> Effect | Reason:
    """Any standing but closed."""
    account = state.accounts.get(asked.account)
    if account is None:
        return Reason.ACCOUNT_NOT_FOUND
    if account.standing is AccountStatus.CLOSED:
        return Reason.ACCOUNT_CLOSED
    if asked.status is AccountStatus.CLOSED:
        return Reason.STANDING_INVALID
    account.standing = asked.status
    return Effect(EntryKind.STANDING_SET, Parties(asked.account, NIL, int(asked.status)), asked.account)


def _opened(state: State, parties: Parties, type_: AccountType) -> Effect | Reason:
    id_, _, limit, currency = parties
    if is_operators(id_):
        return Reason.ACCOUNT_RESERVED
    if id_ in state.accounts:
        return Reason.ACCOUNT_EXISTS
    if currency not in EXPONENTS:
        return Reason.CURRENCY_UNKNOWN
    if not 0 <= limit <= MAX_MINOR:
        return Reason.AMOUNT_INVALID
    state.accounts[id_] = Account(currency, limit, type_)
    return Effect(EntryKind.ACCOUNT_OPENED, parties, id_)


def _limit(state: State, parties: Parties) -> Effect | Reason:
    account = state.accounts.get(parties.debit)
    if account is None:
        return Reason.ACCOUNT_NOT_FOUND
    if account.standing is AccountStatus.CLOSED:
        return Reason.ACCOUNT_CLOSED
    if not 0 <= parties.amount <= MAX_MINOR:
        return Reason.AMOUNT_INVALID
    if account.available + parties.amount < 0:
        return Reason.OVERDRAFT_IN_USE
    account.limit = parties.amount
    return Effect(EntryKind.OVERDRAFT_LIMIT_SET, parties, parties.debit)


def _standing(state: State, kind: CommandKind, parties: Parties) -> Effect | Reason:
    account = state.accounts.get(parties.debit)
    if account is None:
        return Reason.ACCOUNT_NOT_FOUND
    if account.standing is AccountStatus.CLOSED:
        return Reason.ACCOUNT_CLOSED
    if kind is CommandKind.CLOSE_ACCOUNT and account.available != 0:
        return Reason.BALANCE_NOT_ZERO
    if kind is CommandKind.CLOSE_ACCOUNT and state.has_open_items(parties.debit):
        return Reason.ACCOUNT_HAS_OPEN_ITEMS
    entry_kind, account.standing = STANDINGS[kind]
    return Effect(entry_kind, parties, parties.debit)


def _two_legs(parties: Parties) -> tuple[Posting, Posting]:
    debit, credit, amount, currency = parties
    return Posting(debit, -amount, currency), Posting(credit, amount, currency)


def _legs(message: Credit) -> tuple[Posting, ...]:
    stated = [detail.legs for detail in message.details if isinstance(detail, Legs)]
    return stated[0] if stated else _two_legs(Parties(*message[1:5]))


def _what_arrives(message: Credit) -> tuple[int, str]:
    legs = [leg for leg in _legs(message) if leg.account == message.payee]
    return legs[0].amount_minor, legs[0].currency


def _comes_back(message: Credit) -> bool:
    causes = [detail.kind for detail in message.details if isinstance(detail, Cause)]
    return CauseKind.REFUND in causes or CauseKind.DISPUTE in causes
