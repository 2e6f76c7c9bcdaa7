"""Goal: what a fee schedule or quote makes of an amount, the payer's shard takes the legs and reserves the debit."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from payments.accounts import Account
from payments.book import Book
from payments.entries import EntryKind, Source
from payments.identifiers import system_account
from payments.money import Money
from payments.movements.deeds import Deed
from payments.movements.instructions import Envelope, PricedTransfer
from payments.movements.transfers import transfer
from payments.postings import Posting, SystemAccount, is_balanced
from payments.rejections import Reason
from payments.terms.fees import Charge, ChargeBearer, FeeSchedule, Tier, charge, charge_postings
from payments.terms.fx import Conversion, Quote, charge_conversion, charged_conversion_postings, conversion_postings
from payments.terms.methods import Method, method_account
from tests.payments.terms.test_fees import schedules
from tests.payments.terms.test_fx import NOW_US, convert_fixed_side, quotes

PAYER, PAYEE = b"payer".ljust(16), b"payee".ljust(16)
OPERATION = b"operation".ljust(16)
amounts = st.integers(1, 10**9)


def _decided(legs: tuple[Posting, ...], debited: Money, valid_until_us: int, payee: bytes = PAYEE) -> Deed | Reason:
    book = Book({PAYER: Account(debited.currency, debited.minor)})
    asked = PricedTransfer(payer=PAYER, payee=payee, legs=legs, valid_until_us=valid_until_us, envelope=Envelope("key"))
    return transfer(book, OPERATION, asked, Source(0, 0, NOW_US))


def _assert_reserved(deed: Deed | Reason, debited: Money) -> None:
    assert isinstance(deed, Deed), deed
    assert (deed.kind, deed.amount_minor, deed.currency) == (EntryKind.RESERVED, *debited)
    assert deed.available_after_minor == 0


@given(schedules(), amounts)
def test_a_transfer_with_a_fee_is_reserved(schedule: FeeSchedule, amount_minor: int) -> None:
    charged = charge(schedule, Money(amount_minor, schedule.currency))
    assume(isinstance(charged, Charge))
    assert isinstance(charged, Charge)
    debited = Money(charged.debited_minor, charged.currency)
    _assert_reserved(_decided(charge_postings(charged, PAYER, PAYEE), debited, 0), debited)


@given(quotes(), amounts)
def test_a_converted_transfer_is_reserved_until_its_quote_expires(quote: Quote, amount_minor: int) -> None:
    """At the last microsecond at which `convert` takes the quote, and not at the next."""
    converted = convert_fixed_side(quote, amount_minor)
    assume(isinstance(converted, Conversion))
    assert isinstance(converted, Conversion)
    legs = conversion_postings(converted, PAYER, PAYEE)
    assert quote.expires_at_us == NOW_US + 1
    _assert_reserved(_decided(legs, converted.sell, quote.expires_at_us), converted.sell)
    assert _decided(legs, converted.sell, NOW_US) is Reason.QUOTE_EXPIRED


@given(quotes(), amounts, st.sampled_from(ChargeBearer), st.integers(0, 900), st.integers(0, 50))
def test_a_converted_transfer_with_a_fee_is_reserved_and_exact(
    quote: Quote, amount_minor: int, bearer: ChargeBearer, basis_points: int, flat_minor: int
) -> None:
    """One transfer: what the exchange moves is the quote's, and the fee is in the currency of who bears it."""
    converted = convert_fixed_side(quote, amount_minor)
    assume(isinstance(converted, Conversion))
    assert isinstance(converted, Conversion)
    sell, buy = converted.sell, converted.buy
    on_top = bearer is ChargeBearer.PAYER
    charged = charge_conversion(
        FeeSchedule(1, (sell if on_top else buy).currency, (Tier(None, basis_points, flat_minor),), bearer), converted
    )
    assume(isinstance(charged, Charge))
    assert isinstance(charged, Charge)
    legs = charged_conversion_postings(converted, charged, PAYER, PAYEE)
    assert is_balanced(legs)
    moved = {leg.account: leg.amount_minor for leg in legs}
    fee_minor = moved.get(system_account(SystemAccount.FEES, charged.currency), 0)
    assert fee_minor == charged.fee_minor
    assert moved[PAYER] == -sell.minor - (fee_minor if on_top else 0)
    assert moved[PAYEE] == buy.minor - (0 if on_top else fee_minor)
    assert moved[system_account(SystemAccount.FX_POSITION, sell.currency)] == sell.minor
    debited = Money(-moved[PAYER], sell.currency)
    _assert_reserved(_decided(legs, debited, 0), debited)


@given(schedules(), amounts, st.sampled_from(Method))
def test_a_withdrawal_with_a_fee_is_reserved(schedule: FeeSchedule, amount_minor: int, method: Method) -> None:
    charged = charge(schedule, Money(amount_minor, schedule.currency))
    assume(isinstance(charged, Charge))
    assert isinstance(charged, Charge)
    debited, clearing = Money(charged.debited_minor, charged.currency), method_account(method, schedule.currency)
    _assert_reserved(_decided(charge_postings(charged, PAYER, clearing), debited, 0, clearing), debited)


WIRE, SUSPENSE, FEES = (
    system_account(code, "EUR") for code in (SystemAccount.WIRE_CLEARING, SystemAccount.SUSPENSE, SystemAccount.FEES)
)
FX_EUR, FX_USD = (system_account(SystemAccount.FX_POSITION, currency) for currency in ("EUR", "USD"))


@pytest.mark.parametrize(
    ("payee", "others"),
    [
        (SUSPENSE, (Posting(SUSPENSE, 10, "EUR"),)),
        (FEES, (Posting(FEES, 10, "EUR"),)),
        (WIRE, (Posting(FX_EUR, 10, "EUR"), Posting(FX_USD, -11, "USD"), Posting(WIRE, 11, "USD"))),
        (system_account(SystemAccount.WIRE_CLEARING, "QQQ"), (Posting(bytes(16), 10, "EUR"),)),
    ],
    ids=["no method", "fees", "a method's account in another currency", "no such account"],
)
def test_money_leaves_by_a_method_in_its_currency_or_not_at_all(payee: bytes, others: tuple[Posting, ...]) -> None:
    legs = Posting(PAYER, -10, "EUR"), *others
    assert is_balanced(legs)
    assert _decided(legs, Money(10, "EUR"), 0, payee) is Reason.LEGS_INVALID
