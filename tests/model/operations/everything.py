"""Random operations over all kinds, chosen with an eye on the model's state so that they reach deep into it.

Most are meant to succeed: they name what is open and take amounts that are there. The rest is wrong in one thing: an id
of something else, an amount at or beyond a limit, a key that was used before.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from payments.accounts import AccountStatus, AccountType
from payments.commands import Command, CommandKind
from payments.identifiers import NIL, system_account
from payments.items.details import Posting
from payments.movements.instructions import (
    AssessTransfer,
    AttributedTransfer,
    Attributes,
    CaptureHold,
    ClearDeposit,
    DecideReview,
    Instruction,
    NoteEvidence,
    OpenAccount,
    OpenDispute,
    PlaceHold,
    PostJournal,
    PricedTransfer,
    RaiseHold,
    RecoverReceivable,
    Refund,
    ResolveDispute,
    ReturnDeposit,
    SetLimits,
    SetRules,
    SetStanding,
    VoidHold,
    WriteOff,
    attributed,
)
from payments.postings import SystemAccount
from payments.risk.limits import NO_LIMIT, Tier
from payments.terms.methods import METHOD_OF, Method, method_account
from tests.model.operations.checkouts import Checkouts
from tests.model.operations.parts import ACCOUNTS, CURRENCIES, DAY_US, EDGES, FAILS_AT
from tests.model.rules.risk import RuleSet
from tests.model.rules.state import HOUR_US, Payment, State

CODES = {
    Method.CHECK: "A",
    Method.PAYROLL: "R03",
    Method.PAYPAL: "reversed_by_sender",
    Method.ZELLE: "not_enrolled",
    Method.DIRECT_DEBIT: "MD06",
    Method.WIRE: "AC04",
    Method.PRE_AUTHORISED: "R01",
    Method.THIRD_PARTY: "recalled",
    Method.MONEY_ORDER: "B",
    Method.CARD: "charge_reversed",
}
UNLIMITED = (NO_LIMIT, NO_LIMIT, NO_LIMIT)
Maker = Callable[[], Command | Instruction]


class Operations(Checkouts):
    """An endless stream of operations for one world whose state it reads."""

    def __init__(self, rng: random.Random, state: State, shards: int) -> None:
        super().__init__(rng, state)
        self._shards = shards
        self._to_open = deque(self._accounts)
        self._sent: deque[Command | Instruction] = deque(maxlen=300)
        self._makers, self._weights = zip(*self._kinds().items(), strict=True)

    def next(self) -> Command | Instruction:
        """The first ones open accounts."""
        if self._to_open:
            return self._first_account(self._to_open.popleft())
        self._replace_a_closed_account()
        chance = self._rng.random()
        if chance < 0.04 and self._sent:
            return self._rng.choice(self._sent)
        [make] = self._rng.choices(self._makers, self._weights)
        asked: Command | Instruction = make()
        if chance < 0.06 and self._sent:
            asked = self._with_key_of(asked, self._rng.choice(self._sent))
        self._sent.append(asked)
        return asked

    def _first_account(self, account: bytes) -> OpenAccount:
        number = self._keys
        type_ = AccountType.MERCHANT if number % 3 == 0 else AccountType.CHECKING
        currency = CURRENCIES[number % len(CURRENCIES)]
        return OpenAccount(envelope=self._envelope(), account=account, type=type_, currency=currency)

    def _replace_a_closed_account(self) -> None:
        place = self._rng.randrange(ACCOUNTS)
        if self._one_in(40) and self._standing(self._accounts[place]) is AccountStatus.CLOSED:
            self._accounts[place] = self._new_account()

    def _kinds(self) -> dict[Maker, int]:
        return {
            self._open: 4,
            self._deposit: 14,
            self._transfer: 14,
            self._command_about_account: 3,
            self._open_account: 2,
            self._set_standing: 4,
            self._priced_transfer: 8,
            self._place_hold: 8,
            self._or(self._place_hold, "holds", self._raise_hold): 4,
            self._or(self._place_hold, "holds", self._capture_hold): 12,
            self._or(self._place_hold, "holds", self._void_hold): 2,
            self._or(self._deposit, "deposits", self._clear_deposit): 4,
            self._return_deposit: 4,
            self._refund: 8,
            self._open_dispute: 5,
            self._or(self._open_dispute, "disputes", self._note_evidence): 2,
            self._or(self._open_dispute, "disputes", self._resolve_dispute): 5,
            self._or(self._open_dispute, "debts", self._recover_receivable): 4,
            self._or(self._return_deposit, "debts", self._write_off): 1,
            self._post_journal: 6,
            self._set_limits: 1,
            self._set_rules: 1,
            self._or(self._transfer, "reviews", self._decide_review): 5,
            self._place_checkout: 6,
            self._or(self._place_checkout, "orders", self._cancel_order): 2,
            self._or(self._place_checkout, "orders", self._refund_order): 6,
            self._pay_out: 4,
            self._or(self._pay_out, "requests", self._settle_attempt): 6,
            self._attributed_transfer: 2,
            self._assess_transfer: 1,
        }

    def _or(self, begin: Maker, kept: str, go_on: Maker) -> Maker:
        """Go on with something open; where there is nothing, mostly begin something."""
        return lambda: go_on() if getattr(self._state, kept) or self._one_in(10) else begin()

    def _with_key_of(self, asked: Command | Instruction, used: Command | Instruction) -> Command | Instruction:
        """Another body under a key that was used; of the same account where chance will have it."""
        key = used.idempotency_key if isinstance(used, Command) else used.envelope.idempotency_key
        if isinstance(used, Command) and self._one_in(2):
            return used._replace(amount_minor=used.amount_minor + 1)
        if isinstance(asked, Command):
            return asked._replace(idempotency_key=key)
        return replace(asked, envelope=asked.envelope._replace(idempotency_key=key))

    # Commands.

    def _open(self) -> Command:
        unknown = [id_ for id_ in self._accounts if id_ not in self._state.accounts]
        account = self._rng.choice(unknown) if unknown else self._payee("EUR")
        currency = self._rng.choice(CURRENCIES)
        if self._one_in(8):
            account, currency = self._stranger, "XYZ"
        return self._command(CommandKind.OPEN_ACCOUNT, account, NIL, self._limit(), currency)

    def _deposit(self) -> Command:
        account = self._account() if self._one_in(30) else self._opened()
        currency = self._currency_of(account)
        clearing = method_account(self._rng.choice(list(Method)), currency)
        if self._one_in(20):
            clearing = self._rng.choice((account, NIL, self._operators(currency), self._operators("USD")))
        if self._one_in(40):
            account = self._operators(currency)
        amount = self._rng.randint(1, 1_500)
        if self._one_in(60):  # the largest amounts all to one account, or everybody would have enough for everything
            account, amount = self._accounts[0], self._rng.choice(EDGES)
        return self._command(CommandKind.DEPOSIT, clearing, account, amount, currency)

    def _transfer(self) -> Command:
        payer = self._operators("EUR") if self._one_in(60) else self._payer()
        currency = self._currency_of(payer)
        return self._command(CommandKind.TRANSFER, payer, self._payee(currency), self._spendable(payer), currency)

    def _attributed_transfer(self) -> AttributedTransfer:
        """From one of a few devices."""
        device = b"device %d" % self._rng.randrange(4)
        return attributed(self._transfer(), Attributes(device_key=device, ip_country="DE"))

    def _assess_transfer(self) -> AssessTransfer:
        paid = self._transfer()
        envelope = self._envelope()._replace(description="")
        return AssessTransfer(
            envelope=envelope,
            payer=paid.payer,
            payee=paid.payee,
            amount_minor=paid.amount_minor,
            currency=paid.currency,
        )

    def _command_about_account(self) -> Command:
        kind = self._rng.choice(
            (
                CommandKind.FREEZE_ACCOUNT,
                CommandKind.UNFREEZE_ACCOUNT,
                CommandKind.UNFREEZE_ACCOUNT,
                CommandKind.CLOSE_ACCOUNT,
                CommandKind.CLOSE_ACCOUNT,
                CommandKind.SET_OVERDRAFT_LIMIT,
                CommandKind.SET_OVERDRAFT_LIMIT,
            )
        )
        account = self._account()
        if kind is CommandKind.CLOSE_ACCOUNT and self._one_in(2):
            empty = [id_ for id_ in self._accounts if self._state.available(id_) == 0]
            account = self._rng.choice(empty or self._accounts)
        if kind is CommandKind.SET_OVERDRAFT_LIMIT and self._one_in(2):
            overdrawn = [id_ for id_ in self._accounts if self._state.available(id_) < 0]
            account = self._rng.choice(overdrawn or self._accounts)
        limit = self._limit() if kind is CommandKind.SET_OVERDRAFT_LIMIT else 0
        return self._command(kind, account, NIL, limit, "")

    def _limit(self) -> int:
        return self._rng.choice(EDGES) if self._one_in(15) else self._rng.choice((0, 0, 0, 50, 300))

    # Instructions.

    def _open_account(self) -> OpenAccount:
        command = self._open()
        type_ = self._rng.choice((AccountType.MERCHANT, AccountType.MERCHANT, *AccountType))
        return OpenAccount(
            envelope=self._envelope(),
            account=command.payer,
            type=type_,
            currency=command.currency,
            overdraft_limit_minor=command.amount_minor,
        )

    def _set_standing(self) -> SetStanding:
        """Most that are not open are opened again."""
        other = [id_ for id_ in self._accounts if self._standing(id_) not in (AccountStatus.OPEN, AccountStatus.CLOSED)]
        account, status = self._account(), self._rng.choice(list(AccountStatus))
        if other and not self._one_in(4):
            account, status = self._rng.choice(other), AccountStatus.OPEN
        return SetStanding(envelope=self._envelope(), account=account, status=status)

    def _priced_transfer(self) -> PricedTransfer:
        payer, payee = self._payer(), self._opened()
        currency, amount = self._currency_of(payer), self._spendable(payer)
        legs = [Posting(payer, -amount, currency)]
        if self._one_in(2):
            fee = min(self._rng.randint(1, 9), max(1, amount - 1))
            legs.append(Posting(system_account(SystemAccount.FEES, currency), fee, currency))
            amount -= fee
        other = self._currency_of(payee)
        if self._one_in(6):
            other = other if self._one_in(6) else currency
            payee = method_account(self._rng.choice(list(Method)), other)
        if other == currency:
            legs.append(Posting(payee, amount, currency))
        else:
            fee = self._rng.randint(0, min(9, max(0, 2 * amount - 1)))  # of the payee, beside the payer's
            legs += [
                Posting(system_account(SystemAccount.FX_POSITION, currency), amount, currency),
                Posting(system_account(SystemAccount.FX_POSITION, other), -2 * amount, other),
                Posting(payee, 2 * amount - fee, other),
                *([Posting(system_account(SystemAccount.FEES, other), fee, other)] if fee else []),
            ]
        until_us = self._rng.choice((0, self.now_us + HOUR_US, self.now_us)) if self._one_in(8) else 0
        return PricedTransfer(
            envelope=self._envelope(), payer=payer, payee=payee, legs=self._spoilt(legs), valid_until_us=until_us
        )

    def _spoilt(self, legs: list[Posting]) -> tuple[Posting, ...]:
        """As they are, or wrong in one thing."""
        if self._one_in(25):
            place = self._rng.randrange(len(legs))
            wrong: list[Posting] = [
                legs[place]._replace(amount_minor=self._amount()),
                legs[place]._replace(currency="USD"),
                legs[place]._replace(account=self._payee("EUR")),
            ]
            legs[place] = self._rng.choice(wrong)
        elif self._one_in(60):
            legs = self._rng.choice((legs[:1], legs[::-1], legs * 33))
        return tuple(legs)

    def _place_hold(self) -> PlaceHold:
        payer = self._payer()
        currency = self._currency_of(payer)
        lasts_us = self._rng.choice((1_000_000, HOUR_US, HOUR_US, 2 * DAY_US, 31 * DAY_US))
        if self._one_in(20):
            lasts_us = self._rng.choice((0, -1, 31 * DAY_US + 1))
        return PlaceHold(
            envelope=self._envelope(),
            payer=payer,
            payee=self._payee(currency),
            amount_minor=self._spendable(payer),
            currency=currency,
            expires_at_us=self.now_us + lasts_us,
        )

    def _hold(self) -> tuple[bytes, bytes, int]:
        """Payer, id and what is left of a hold."""
        id_ = self._some(self._state.holds)
        hold = self._state.holds.get(id_)
        if hold is None:
            return self._account(), id_, 1
        return self._account() if self._one_in(40) else hold.payer, id_, hold.amount

    def _raise_hold(self) -> RaiseHold:
        payer, hold_id, _ = self._hold()
        return RaiseHold(envelope=self._envelope(), payer=payer, hold_id=hold_id, amount_minor=self._spendable(payer))

    def _capture_hold(self) -> CaptureHold:
        payer, hold_id, left = self._hold()
        return CaptureHold(
            envelope=self._envelope(),
            payer=payer,
            hold_id=hold_id,
            amount_minor=self._amount_of(left),
            is_final=self._one_in(3),
        )

    def _void_hold(self) -> VoidHold:
        payer, hold_id, _ = self._hold()
        return VoidHold(envelope=self._envelope(), payer=payer, hold_id=hold_id)

    def _clear_deposit(self) -> ClearDeposit:
        waits = {id_: deposit for (_, id_), deposit in self._state.deposits.items()}
        id_ = self._some(waits)
        waiting = waits.get(id_)
        account = self._account() if waiting is None or self._one_in(40) else waiting.account
        return ClearDeposit(envelope=self._envelope(), account=account, deposit_id=id_)

    def _payment(self, wanted: Callable[[Payment], bool]) -> tuple[bytes, Payment]:
        """A payment of the last ones, rarely of the first ones, or one that never was."""
        paid = list(self._state.payments.items())
        paid = paid[:20] if self._one_in(20) else paid[-60:]
        fitting = [(id_, payment) for (_, id_), payment in paid if wanted(payment)]
        if not fitting or self._one_in(40):
            return NIL, Payment(self._account(), self._account(), self._amount(), "EUR")
        return self._rng.choice(fitting)

    def _return_deposit(self) -> ReturnDeposit:
        id_, paid = self._payment(lambda payment: payment.payer in METHOD_OF)
        method = METHOD_OF.get(paid.payer)
        code = "?" if method is None or self._one_in(20) else CODES.get(method, "R01")
        return ReturnDeposit(
            envelope=self._envelope(),
            account=paid.payee,
            deposit_id=id_,
            clearing_account=paid.payer,
            amount_minor=paid.amount + self._one_in(30),
            currency=paid.currency,
            code=code,
        )

    def _refund_fields(self) -> dict[str, object]:
        payment_id, paid = self._payment(lambda payment: True)
        is_known = self._state.at(paid.payee, payment_id) in self._state.payments
        left = self._state.left_of(paid.payee, payment_id) if is_known else 1
        return {
            "envelope": self._envelope(),
            "merchant": paid.payee,
            "customer": self._account() if self._one_in(40) else paid.payer,
            "payment_id": payment_id,
            "payment_amount_minor": paid.amount,
            "amount_minor": self._amount_of(max(1, left)),
            "currency": paid.currency,
        }

    def _refund(self) -> Refund:
        return Refund(**self._refund_fields())  # type: ignore[arg-type]  # the fields of one kind, by name

    def _open_dispute(self) -> OpenDispute:
        fee = self._rng.choice((0, 15, 15, *EDGES)) if self._one_in(4) else 15
        provider_fee = self._rng.choice((0, 0, 7, -1)) if self._one_in(3) else 0
        fields = self._refund_fields() | {"fee_minor": fee, "provider_fee_minor": provider_fee}
        return OpenDispute(**fields, is_provisional=self._one_in(2))  # type: ignore[arg-type]

    def _disputed(self) -> tuple[bytes, bytes]:
        id_ = self._some(self._state.disputes)
        dispute = self._state.disputes.get(id_)
        return (self._account() if dispute is None or self._one_in(40) else dispute.merchant), id_

    def _note_evidence(self) -> NoteEvidence:
        merchant, id_ = self._disputed()
        return NoteEvidence(
            envelope=self._envelope(), merchant=merchant, dispute_id=id_, evidence_hash=self._rng.randbytes(32)
        )

    def _resolve_dispute(self) -> ResolveDispute:
        merchant, id_ = self._disputed()
        return ResolveDispute(envelope=self._envelope(), merchant=merchant, dispute_id=id_, is_won=self._one_in(2))

    def _debt(self) -> tuple[bytes, bytes, int]:
        id_ = self._some(self._state.debts)
        debt = self._state.debts.get(id_)
        if debt is None:
            return self._account(), id_, 1
        return self._account() if self._one_in(40) else debt.account, id_, debt.amount

    def _recover_receivable(self) -> RecoverReceivable:
        account, id_, owed = self._debt()
        spendable = min(owed, max(1, self._state.available(account)))
        return RecoverReceivable(
            envelope=self._envelope(), account=account, receivable_id=id_, amount_minor=self._amount_of(spendable)
        )

    def _write_off(self) -> WriteOff:
        account, id_, _ = self._debt()
        return WriteOff(envelope=self._envelope(), account=account, receivable_id=id_)

    def _post_journal(self) -> PostJournal:
        """Some debits against some credits; both sides may be customers or the operator, the first leg as well."""
        currency = self._rng.choice(CURRENCIES)
        legs: list[Posting] = []
        for sign in (-1, 1):
            for _ in range(self._rng.randint(1, 3)):
                ours = self._one_in(4)
                account = self._operators(currency) if ours else self._opened("" if self._one_in(20) else currency)
                legs.append(Posting(account, sign * self._rng.randint(1, 200), currency))
        total = sum(leg.amount_minor for leg in legs)
        last = legs[-1]
        if last.amount_minor - total == 0:
            total += 1
        legs[-1] = last._replace(amount_minor=last.amount_minor - total)
        self._rng.shuffle(legs)
        return PostJournal(envelope=self._envelope(), legs=self._spoilt(legs), code="BRK-1" if self._one_in(2) else "")

    # Risk.

    def _set_limits(self) -> SetLimits:
        """Most limits that were set are taken away again."""
        limited = [id_ for id_ in self._accounts if self._limits_of(id_) != UNLIMITED]
        account, limits = self._account(), tuple(self._rng.choice((NO_LIMIT, NO_LIMIT, 400, 5_000)) for _ in range(3))
        if limited and not self._one_in(4):
            account, limits = self._rng.choice(limited), UNLIMITED
        if self._one_in(20):
            limits = (-1, *limits[1:])
        return SetLimits(
            envelope=self._envelope(),
            account=account,
            per_transaction_minor=limits[0],
            daily_minor=limits[1],
            monthly_minor=limits[2],
            tier=self._rng.choice(list(Tier)),
        )

    def _limits_of(self, account: bytes) -> tuple[int, ...]:
        known = self._state.accounts.get(account)
        return known.limits if known is not None else UNLIMITED

    def _set_rules(self) -> SetRules:
        """Mostly a newer one; a shard decides without rules until its first."""
        shard = self._rng.randrange(self._shards)
        version = self._state.rules.get(shard, (0, ""))[0] + (0 if self._one_in(5) else 1)
        rules = RuleSet(
            max(1, version),
            self._rng.choice((450, 2_000, 9_000)),
            self._rng.choice((400, 1_000, 9_000)),
            FAILS_AT,
            self._rng.choice((300, 700)),
            self._rng.choice((0, 0, 9_000)),
        )
        return SetRules(envelope=self._envelope(), shard=shard, text="rules" if self._one_in(10) else rules.text)

    def _decide_review(self) -> DecideReview:
        id_ = self._some(self._state.reviews)
        review = self._state.reviews.get(id_)
        return DecideReview(
            envelope=self._envelope(),
            payer=self._account() if review is None or self._one_in(40) else review.payer,
            hold_id=id_,
            analyst=self._rng.choice((b"\1", b"\2", b"\3")) * 16,
            is_approved=self._rng.randrange(4) > 0,
        )
