"""Transfers at a quoted rate or with a fee: every leg is stated, and they are decided as one transfer."""

from ingest_api.aliases.pins import request_digest
from ingest_api.fx.quotes import Given
from ingest_api.http.bodies import PricedBody
from ingest_api.identity.tokens import Principal
from ingest_api.problems import Fault, FieldError, Problem, field_problem
from ingest_api.services import Services
from payments.commands import Command
from payments.identifiers import QUOTE, parse_id
from payments.items.details import Posting
from payments.money import Money
from payments.movements.instructions import Attributes, Envelope, PricedTransfer
from payments.terms.fees import FeeRefusal, charge, charge_postings
from payments.terms.fx import conversion_postings

_DIGEST_PURPOSE = b"fx quote"


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
    """The transfer of a body that names a quote or a fee schedule. Raises Problem, DatabaseUnavailable."""
    if body.quote_id is not None and body.fee is not None:
        raise field_problem(FieldError("/fee", Fault.FIELD_INVALID, "Send a quote or a fee schedule, not both."))
    envelope = Envelope(command.idempotency_key, description=command.description, attributes=attributes)
    valid_until_us = 0
    if body.quote_id is not None:
        given = await _taken(services, principal, body.quote_id, command)
        legs, valid_until_us = (
            conversion_postings(given.conversion, command.payer, command.payee),
            given.quote.expires_at_us,
        )
    else:
        legs = _with_fee(services, body.fee or "", command)
    return PricedTransfer(
        envelope=envelope, payer=command.payer, payee=command.payee, legs=legs, valid_until_us=valid_until_us
    )


async def _taken(services: Services, principal: Principal, quote_id: str, command: Command) -> Given:
    """The quote, once it is this transfer's alone."""
    given = await known_quote(services, principal, quote_id)
    if given.fixed != Money(command.amount_minor, command.currency):
        raise field_problem(FieldError("/amount", Fault.FIELD_INVALID, f"The quote is for {given.fixed}."))
    use = request_digest(_DIGEST_PURPOSE, principal.subject, command.idempotency_key)
    if not await services.quotes.take(given.quote.quote_id, use):
        raise Problem(Fault.QUOTE_USED, "Another transfer has used this quote. Ask for a new one.")
    return given


def _with_fee(services: Services, name: str, command: Command) -> tuple[Posting, ...]:
    schedule = services.quotes.terms.current().fees.get((name, command.currency))
    if schedule is None:
        raise field_problem(FieldError("/fee", Fault.FEE_UNKNOWN, "No fee schedule of this currency has this name."))
    charged = charge(schedule, Money(command.amount_minor, command.currency))
    if isinstance(charged, FeeRefusal):
        detail = "The fee leaves nothing of it, or makes it more than any account can have."
        raise field_problem(FieldError("/amount", Fault.FIELD_INVALID, detail))
    return charge_postings(charged, command.payer, command.payee)
