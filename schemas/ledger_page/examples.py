"""One example of each kind of movement."""

from collections.abc import Iterator
from decimal import Decimal

from payments.commands import CommandKind
from payments.identifiers import system_account
from payments.items.details import Dispute, Hold, Posting, Receivable
from payments.money import Money, format_minor
from payments.movements.instructions import (
    CaptureHold,
    ClearDeposit,
    OpenDispute,
    PlaceHold,
    PostJournal,
    PricedTransfer,
    RecoverReceivable,
    Refund,
    ResolveDispute,
    ReturnDeposit,
    VoidHold,
    WriteOff,
)
from payments.postings import SystemAccount
from payments.terms.fees import Charge, ChargeBearer, FeeSchedule, Tier, charge, charge_postings
from payments.terms.fx import (
    Conversion,
    Quote,
    Rate,
    charge_conversion,
    charged_conversion_postings,
    conversion_postings,
    convert,
)
from payments.terms.methods import TERMS, Method, method_account
from schemas.ledger_page import commerce
from schemas.ledger_page.example import ANNA, BERT, DORA, SHOP, START_US, Example


def examples() -> Iterator[Example]:
    """One of each kind of movement."""
    yield from _payments()
    yield from _deposits()
    yield from _holds()
    yield from _given_back()
    yield from _disputes()
    yield from _journals()
    yield from commerce.examples()


def _payments() -> Iterator[Example]:
    shown = Example("Transfer", "Between two customers: reserved at the payer, posted at the payee.").funded()
    shown.pay("Anna pays Bert 30.00", CommandKind.TRANSFER, ANNA, BERT, 3_000)
    yield shown
    shown = Example("Withdrawal", "A transfer to the clearing account of its method; any method works alike.").funded()
    shown.pay("Anna withdraws 40.00 in cash", CommandKind.TRANSFER, ANNA, method_account(Method.CASH, "EUR"), 4_000)
    yield shown
    shown = Example(
        "Withdrawal that comes back", "The network returns it: a journal with its code, once for each withdrawal."
    ).funded()
    wire = method_account(Method.WIRE, "EUR")
    shown.pay("Anna withdraws 40.00 by wire", CommandKind.TRANSFER, ANNA, wire, 4_000)
    legs = Posting(ANNA, 4_000, "EUR"), Posting(wire, -4_000, "EUR")
    shown.ask("the bank returns it (AC04)", PostJournal(legs=legs, code="AC04", envelope=shown.envelope()))
    yield shown
    shown = Example(
        "Withdrawal with a fee that comes back",
        "What had reached the method comes back. The fee was earned: where the terms say otherwise, a journal gives it"
        " back, too (Dr fees, Cr account). Money leaves in the currency of its account, so no rate is in question.",
    ).funded()
    shown.ask("Anna withdraws 40.00 by wire, fee 1 % on top", _with_fee(shown, ChargeBearer.PAYER, 4_000, wire))
    shown.ask("the bank returns it (AC04)", PostJournal(legs=legs, code="AC04", envelope=shown.envelope()))
    yield shown
    shown = Example(
        "Transfer with a fee", "The fee is on top, or out of the amount; schedules: [fees.md](fees.md)."
    ).funded(minor=20_000)
    shown.ask("Anna pays Bert 50.00, fee 1 % on top", _with_fee(shown, ChargeBearer.PAYER))
    shown.ask("… and 50.00, fee 1 % out of it", _with_fee(shown, ChargeBearer.PAYEE))
    yield shown
    shown = Example(
        "Transfer into another currency", "At a quoted rate, through a position per currency [fx.md](fx.md)."
    )
    shown.funded().ask("Anna pays Dora what 50.00 EUR buy at 1.10", _exchanged(shown))
    yield shown
    shown = Example(
        "Transfer into another currency with a fee",
        "The fee is in the currency of who bears it: on top of what is sold, or out of what is bought.",
    ).funded(minor=20_000)
    shown.ask("Anna pays Dora what 50.00 EUR buy, fee 1 % on top", _exchanged(shown, ChargeBearer.PAYER))
    shown.ask("… and what 50.00 EUR buy, fee 1 % out of it", _exchanged(shown, ChargeBearer.PAYEE))
    yield shown


def _with_fee(shown: Example, bearer: ChargeBearer, amount_minor: int = 5_000, payee: bytes = BERT) -> PricedTransfer:
    charged = charge(FeeSchedule(1, "EUR", (Tier(None, 100),), bearer), Money(amount_minor, "EUR"))
    assert isinstance(charged, Charge)
    legs = charge_postings(charged, ANNA, payee)
    return PricedTransfer(payer=ANNA, payee=payee, legs=legs, envelope=shown.envelope())


def _exchanged(shown: Example, bearer: ChargeBearer | None = None) -> PricedTransfer:
    rate = Decimal("1.10").as_integer_ratio()
    quote = Quote(bytes(16), "EUR", "USD", Rate(*rate), 0, START_US * 2)
    conversion = convert(quote, Money(5_000, "EUR"), "USD", START_US)
    assert isinstance(conversion, Conversion)
    legs = conversion_postings(conversion, ANNA, DORA)
    if bearer is not None:
        currency = "EUR" if bearer is ChargeBearer.PAYER else "USD"
        charged = charge_conversion(FeeSchedule(1, currency, (Tier(None, 100),), bearer), conversion)
        assert isinstance(charged, Charge)
        legs = charged_conversion_postings(conversion, charged, ANNA, DORA)
    return PricedTransfer(payer=ANNA, payee=DORA, legs=legs, envelope=shown.envelope())


def _deposits() -> Iterator[Example]:
    at_once = ", ".join(method.value for method, terms in TERMS.items() if terms.is_collected_at_once)
    shown = Example("Deposit", f"Available at once: {at_once}. Each has its own clearing account.")
    shown.pay("Anna pays in 60.00 in cash", CommandKind.DEPOSIT, method_account(Method.CASH, "EUR"), ANNA, 6_000)
    yield shown
    later = ", ".join(method.value for method, terms in TERMS.items() if not terms.is_collected_at_once)
    check = method_account(Method.CHECK, "EUR")
    shown = Example("Deposit that has to be collected", f"Posted at once, available when collected: {later}.")
    (entry,) = shown.pay("Anna pays in a check of 60.00", CommandKind.DEPOSIT, check, ANNA, 6_000)
    shown.ask("it clears", ClearDeposit(account=ANNA, deposit_id=entry.operation_id, envelope=shown.envelope()))
    yield shown
    shown = Example("Deposit that bounces", "Before it was collected: nothing of it was available.")
    (entry,) = shown.pay("Anna pays in a check of 60.00", CommandKind.DEPOSIT, check, ANNA, 6_000)
    shown.ask("it bounces: not sufficient funds (A)", _returned(shown, entry.operation_id, check, "A"))
    yield shown
    payroll = method_account(Method.PAYROLL, "EUR")
    shown = Example("Deposit that comes back later", "Involuntary: what the account no longer has, it owes.")
    (entry,) = shown.pay("Anna receives 60.00 of wages", CommandKind.DEPOSIT, payroll, ANNA, 6_000)
    shown.pay("Anna pays Bert 45.00", CommandKind.TRANSFER, ANNA, BERT, 4_500)
    shown.ask("the bank returns the wages (R06)", _returned(shown, entry.operation_id, payroll, "R06"))
    yield shown


def _returned(shown: Example, deposit_id: bytes, clearing: bytes, code: str) -> ReturnDeposit:
    return ReturnDeposit(
        account=ANNA,
        deposit_id=deposit_id,
        clearing_account=clearing,
        amount_minor=6_000,
        currency="EUR",
        code=code,
        envelope=shown.envelope(),
    )


def _holds() -> Iterator[Example]:
    shown = Example(
        "Hold", "Set aside for one payee; captured in parts; the final capture gives the rest back."
    ).funded()
    hold = _held(shown)
    capture = CaptureHold(payer=ANNA, hold_id=hold, amount_minor=2_000, is_final=False, envelope=shown.envelope())
    shown.ask("the shop captures 20.00", capture)
    final = CaptureHold(payer=ANNA, hold_id=hold, amount_minor=3_000, is_final=True, envelope=shown.envelope())
    shown.ask("… and finally 30.00", final)
    yield shown
    shown = Example("Hold that is voided", "An expiry does the same.").funded()
    shown.ask("the shop voids it", VoidHold(payer=ANNA, hold_id=_held(shown), envelope=shown.envelope()))
    yield shown


def _held(shown: Example) -> bytes:
    expires_at_us = START_US + 3_600_000_000
    asked = PlaceHold(
        payer=ANNA,
        payee=SHOP,
        amount_minor=8_000,
        currency="EUR",
        expires_at_us=expires_at_us,
        envelope=shown.envelope(),
    )
    (entry,) = shown.ask("Anna authorises 80.00 for the shop", asked)
    (hold,) = (detail for detail in entry.details if isinstance(detail, Hold))
    return hold.item_id


def _given_back() -> Iterator[Example]:
    shown = Example("Refund", "Never more than the payment, whatever is disputed or refunded beside it.")
    payment_id = shown.sold()
    for amount_minor in (6_000, 4_000):
        asked = Refund(
            merchant=SHOP,
            customer=ANNA,
            payment_id=payment_id,
            payment_amount_minor=10_000,
            amount_minor=amount_minor,
            currency="EUR",
            envelope=shown.envelope(),
        )
        shown.ask(f"the shop refunds {format_minor(amount_minor, 'EUR')} of 100.00", asked)
    yield shown


def _disputes() -> Iterator[Example]:
    shown = Example("Dispute, the merchant loses", "The amount lies on *disputes* meanwhile; the fee stays.")
    dispute_id = _disputed(shown, shown.sold(), is_provisional=False)
    shown.ask("the merchant loses", _resolved(shown, dispute_id, is_won=False))
    yield shown
    shown = Example("Dispute with provisional credit, the merchant wins", "The customer owes the credit again.")
    dispute_id = _disputed(shown, shown.sold(), is_provisional=True)
    shown.pay("Anna pays Bert 80.00", CommandKind.TRANSFER, ANNA, BERT, 8_000)
    shown.ask("the merchant wins", _resolved(shown, dispute_id, is_won=True))
    yield shown
    shown = Example("Chargeback on money already spent", "What the merchant no longer has becomes a receivable.")
    dispute_id = _disputed(shown, shown.sold(spent=9_000), is_provisional=False)
    shown.ask("the merchant loses", _resolved(shown, dispute_id, is_won=False))
    (debt,) = (item for item in shown.book.items.of(SHOP) if isinstance(item, Receivable))
    shown.funded(SHOP, 3_000)
    paid = RecoverReceivable(account=SHOP, receivable_id=debt.item_id, amount_minor=3_000, envelope=shown.envelope())
    shown.ask("30.00 are recovered", paid)
    shown.ask("the rest is written off", WriteOff(account=SHOP, receivable_id=debt.item_id, envelope=shown.envelope()))
    yield shown


def _disputed(shown: Example, payment_id: bytes, is_provisional: bool) -> bytes:
    asked = OpenDispute(
        merchant=SHOP,
        customer=ANNA,
        payment_id=payment_id,
        payment_amount_minor=10_000,
        amount_minor=10_000,
        currency="EUR",
        fee_minor=1_500,
        is_provisional=is_provisional,
        envelope=shown.envelope(),
    )
    entry = shown.ask("Anna disputes 100.00, fee 15.00", asked)[0]
    (dispute,) = (detail for detail in entry.details if isinstance(detail, Dispute))
    return dispute.item_id


def _resolved(shown: Example, dispute_id: bytes, is_won: bool) -> ResolveDispute:
    return ResolveDispute(merchant=SHOP, dispute_id=dispute_id, is_won=is_won, envelope=shown.envelope())


def _journals() -> Iterator[Example]:
    shown = Example("Journal", "Any balanced legs, all or none: each constrained leg is reserved before one is posted.")
    shown.funded(ANNA, 10_000).funded(BERT, 10_000)
    fees = system_account(SystemAccount.FEES, "EUR")
    legs = (
        Posting(ANNA, -2_000, "EUR"),
        Posting(BERT, -3_000, "EUR"),
        Posting(SHOP, 4_900, "EUR"),
        Posting(fees, 100, "EUR"),
    )
    shown.ask("Anna 20.00 and Bert 30.00 to the shop", PostJournal(legs=legs, envelope=shown.envelope()))
    yield shown
    shown = Example("Adjustment", "A journal with a reason, such as the id of a reconciliation break.")
    suspense, cash = (system_account(code, "EUR") for code in (SystemAccount.SUSPENSE, SystemAccount.CASH_CLEARING))
    corrected = (Posting(suspense, -50, "EUR"), Posting(cash, 50, "EUR"))
    shown.ask("0.50 of a break", PostJournal(legs=corrected, code="brk_…", envelope=shown.envelope()))
    yield shown
