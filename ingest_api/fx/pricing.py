"""Quotes: asked for and looked at by their callers."""

from ingest_api.fx.priced import known_quote
from ingest_api.fx.quotes import Asked
from ingest_api.fx.shown import FxQuote, QuoteBody, shown_quote
from ingest_api.http.bodies import decoded, parse_amount
from ingest_api.http.call import Answer, Call
from ingest_api.http.resources import encode
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.problems import Fault, FieldError, field_problem
from ingest_api.services import Services
from ingest_api.transfers import encoded_headers
from payments.money import Money
from payments.terms.fx import FixedSide, QuoteRefusal


async def quote(services: Services, call: Call) -> Answer:
    """What an amount costs in another currency, and until when."""
    principal = admit(services, call, Scope.PAYMENTS_WRITE, JSON_MEDIA, 1)
    body: QuoteBody = decoded(QuoteBody, await call.body(BODY_BYTES_MAX))
    fixed = body.sell_currency if body.fixed_side is FixedSide.SELL else body.buy_currency
    amount_minor = parse_amount(body.amount, fixed)
    if isinstance(amount_minor, FieldError):
        raise field_problem(amount_minor)
    asked = Asked(body.sell_currency, body.buy_currency, Money(amount_minor, fixed), body.fixed_side)
    given = await services.quotes.give_out(asked, principal.subject)
    if given is None:
        raise field_problem(FieldError("/buy_currency", Fault.RATE_UNKNOWN, "No rate is offered for this pair."))
    if isinstance(given, QuoteRefusal):
        detail = "Converted, it would be nothing, or more than any account can have."
        raise field_problem(FieldError("/amount", Fault.FIELD_INVALID, detail))
    shown = shown_quote(given)
    return Answer(201, encode(shown), encoded_headers({"Location": f"/v1/fx/quotes/{shown.id}"}))


async def find_quote(services: Services, principal: Principal, quote_id: str) -> FxQuote:
    """A quote that the principal has asked for. Raises Problem, DatabaseUnavailable."""
    return shown_quote(await known_quote(services, principal, quote_id))
