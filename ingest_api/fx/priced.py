"""Transfers at a quoted rate, with a fee, or both: every leg is stated, and they are decided as one transfer."""

from ingest_api.aliases.pins import request_digest
from ingest_api.fx.quotes import Given
from ingest_api.http.bodies import PricedBody
from ingest_api.identity.tokens import Principal
from ingest_api.problems import Fault, FieldError, Problem, field_problem
from ingest_api.services import Services
from payments.commands import Command
from payments.identifiers import QUOTE, is_system, parse_id
from payments.items.details import Posting
from payments.money import Money
from payments.movements.instructions import Attributes, Envelope, PricedTransfer
from payments.terms.fees import Charge, ChargeBearer, FeeRefusal, FeeSchedule, charge, charge_postings
from payments.terms.fx import Conversion, charge_conversion, charged_conversion_postings, conversion_postings

_DIGEST_PURPOSE = b"fx quote"
_OUT_IN_ITS_CURRENCY = (
    "Money leaves in the currency of its account: exchange it first, by a transfer with this quote to an account of"
    " the other currency, and withdraw it from there."
)


async def known_quote(services: Services, principal: Principal, quote_id: str) -> Given:
    """A quote that the principal has asked for. Raises Problem, DatabaseUnavailable."""
    parsed = parse_id(QUOTE, quote_id)
    given = await services.quotes.find(parsed) if parsed is not None else None
    if given is None or given.asked_by != principal.subject:
        raise Problem(Fault.QUOTE_UNKNOWN, "Nobody was given this quote, or somebody else was.")
    return given


async def priced(
    services: Services, principal: Principal, body: PricedBody, command: Command, attributes: Attributes
) -> PricedTransfer:
    """The transfer of a body that names a quote, a fee schedule, or both. Raises Problem, DatabaseUnavailable."""
    if body.quote_id is None:
        return with_fee(services, body.fee or "", command, attributes)
    if is_system(command.payee):
        raise field_problem(FieldError("/quote_id", Fault.FIELD_INVALID, _OUT_IN_ITS_CURRENCY))
    given = await _quoted(services, principal, body.quote_id, command)
    legs = _at_quote(services, body.fee, given.conversion, command)
    await _take(services, principal, given, command)  # last: what can't be priced uses no quote up
    return _transfer(command, legs, attributes, given.quote.expires_at_us)


def with_fee(services: Services, name: str, command: Command, attributes: Attributes) -> PricedTransfer:
    """The transfer that a command means, with the fee of the schedule of this name. Raises Problem."""
    schedule = _schedule(services, name, command.currency)
    if schedule is None:
        raise field_problem(FieldError("/fee", Fault.FEE_UNKNOWN, "No fee schedule of this currency has this name."))
    charged = _possible(charge(schedule, Money(command.amount_minor, command.currency)))
    return _transfer(command, charge_postings(charged, command.payer, command.payee), attributes)


def _transfer(
    command: Command, legs: tuple[Posting, ...], attributes: Attributes, valid_until_us: int = 0
) -> PricedTransfer:
    envelope = Envelope(command.idempotency_key, description=command.description, attributes=attributes)
    return PricedTransfer(
        envelope=envelope, payer=command.payer, payee=command.payee, legs=legs, valid_until_us=valid_until_us
    )


async def _quoted(services: Services, principal: Principal, quote_id: str, command: Command) -> Given:
    """The quote of this transfer."""
    given = await known_quote(services, principal, quote_id)
    if given.fixed != Money(command.amount_minor, command.currency):
        raise field_problem(FieldError("/amount", Fault.FIELD_INVALID, f"The quote is for {given.fixed}."))
    return given


async def _take(services: Services, principal: Principal, given: Given, command: Command) -> None:
    """From here on the quote is this transfer's alone."""
    use = request_digest(_DIGEST_PURPOSE, principal.subject, command.idempotency_key)
    if not await services.quotes.take(given.quote.quote_id, use):
        raise Problem(Fault.QUOTE_USED, "Another transfer has used this quote. Ask for a new one.")


def _at_quote(services: Services, fee: str | None, conversion: Conversion, command: Command) -> tuple[Posting, ...]:
    if fee is None:
        return conversion_postings(conversion, command.payer, command.payee)
    charged = _charged_conversion(services, fee, conversion)
    return charged_conversion_postings(conversion, charged, command.payer, command.payee)


def _charged_conversion(services: Services, name: str, conversion: Conversion) -> Charge:
    """By the schedule of this name that its payer bears in what is sold, else its payee in what is bought."""
    for currency, bearer in (
        (conversion.sell.currency, ChargeBearer.PAYER),
        (conversion.buy.currency, ChargeBearer.PAYEE),
    ):
        schedule = _schedule(services, name, currency)
        if schedule is not None and schedule.bearer is bearer:
            return _possible(charge_conversion(schedule, conversion))
    detail = "No fee schedule of this name is borne by the payer in the currency sold, or by the payee in that bought."
    raise field_problem(FieldError("/fee", Fault.FEE_UNKNOWN, detail))


def _schedule(services: Services, name: str, currency: str) -> FeeSchedule | None:
    return services.quotes.terms.current().fees.get((name, currency))


def _possible(charged: Charge | FeeRefusal) -> Charge:
    if isinstance(charged, FeeRefusal):
        detail = "The fee leaves nothing of it, or makes it more than any account can have."
        raise field_problem(FieldError("/amount", Fault.FIELD_INVALID, detail))
    return charged
