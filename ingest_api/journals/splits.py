"""POST /ledger/splits: one amount over several accounts, as one journal of the payer's (docs/fees.md)."""

from typing import Final

from ingest_api.http.bodies import decoded, description_fault, parse_account, parse_amount, parse_limit
from ingest_api.http.call import Answer, Call
from ingest_api.http.serving import BODY_BYTES_MAX
from ingest_api.journals.posting import admitted, post_legs
from ingest_api.journals.shown import Asked, ShareBody, SplitBody, leg_account
from ingest_api.problems import Fault, FieldError, field_problem
from ingest_api.services import Services
from payments.items.details import Posting
from payments.money import Money
from payments.terms.fees import BASIS_POINTS
from payments.terms.splits import Share, Split, SplitProblem, SplitRefusal, split, split_problem

_WRONG: Final = {
    SplitProblem.ACCOUNT_REPEATED: "An account has one share, or gets the remainder.",
    SplitProblem.RATES_ABOVE_WHOLE: f"Together at most {BASIS_POINTS:,} basis points.",
    SplitProblem.RATES_BELOW_WHOLE: f"{BASIS_POINTS:,} basis points together, or an account that gets the remainder.",
    SplitProblem.FIXED_WITHOUT_REMAINDER: "Fixed parts need an account that gets the remainder.",
}


async def post_split(services: Services, call: Call) -> Answer:
    """Post the journal of a split."""
    key = admitted(services, call)
    asked = asked_split(decoded(SplitBody, await call.body(BODY_BYTES_MAX)))
    if isinstance(asked, FieldError):
        raise field_problem(asked)
    return await post_legs(services, call, key, asked)


def asked_split(body: SplitBody) -> Asked | FieldError:
    """The legs that a body means: the payer's first, then a credit for each part of more than nothing."""
    payer, amount_minor = parse_account(body.from_account, "/from_account"), parse_amount(body.amount, body.currency)
    for fault in (description_fault(body.description), payer, amount_minor):
        if isinstance(fault, FieldError):
            return fault
    assert isinstance(payer, bytes)
    assert isinstance(amount_minor, int)
    parts = _parts(body, Money(amount_minor, body.currency))
    if isinstance(parts, FieldError):
        return parts
    return Asked((Posting(payer, -amount_minor, body.currency), *parts), body.description, "")


def _parts(body: SplitBody, amount: Money) -> tuple[Posting, ...] | FieldError:
    division = _division(body)
    if isinstance(division, FieldError):
        return division
    problem = split_problem(division)
    if problem is not None:
        return FieldError("/shares", Fault.FIELD_INVALID, _WRONG.get(problem, "The shares can't be used."))
    parts = split(division, amount)
    if isinstance(parts, SplitRefusal):
        return FieldError("/amount", Fault.FIELD_INVALID, "The shares are more than the amount.")
    return parts


def _division(body: SplitBody) -> Split | FieldError:
    shares: list[Share] = []
    for index, share in enumerate(body.shares):
        found = _share(share, body.currency)
        if isinstance(found, FieldError):
            return found._replace(pointer=f"/shares/{index}{found.pointer}")
        shares.append(found)
    rest = leg_account(body.remainder_to, body.currency, "/remainder_to") if body.remainder_to is not None else None
    return rest if isinstance(rest, FieldError) else Split(1, body.currency, tuple(shares), rest)


def _share(share: ShareBody, currency: str) -> Share | FieldError:
    account, fixed_minor = leg_account(share.account, currency), parse_limit(share.fixed, currency, "/fixed")
    if isinstance(account, FieldError):
        return account
    return fixed_minor if isinstance(fixed_minor, FieldError) else Share(account, share.basis_points, fixed_minor)
