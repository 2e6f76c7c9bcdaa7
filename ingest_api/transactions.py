"""History: payments by account, status, time and amount, page by page, and one payment with every step it took."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, ClassVar, Self

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, model_validator

from ingest_api.aliases.parties import USER
from ingest_api.http.openapi import describe
from ingest_api.http.resources import Payment, PaymentPage
from ingest_api.http.serving import read, respond, show
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.owners.access import user_named
from ingest_api.owners.holdings import accounts_of
from ingest_api.owners.rights import Action, by_scope
from ingest_api.problems import Fault, FieldError, field_problem
from ingest_api.reads.accounts import known_account
from ingest_api.reads.cursor import decode_cursor
from ingest_api.reads.payments import PaymentFilter, PaymentType, find_timeline, list_payments, unknown_payment
from ingest_api.seed_routes.shown import TransactionList, as_document
from ingest_api.services import Services
from ingest_api.statements.moments import TimesQuery, not_in_order
from ingest_api.transfers import require_party
from payments.identifiers import PAYMENT, parse_id
from payments.lifecycle import PaymentStatus
from payments.money import to_minor

router = APIRouter(tags=["transactions"])

PAGE_DEFAULT = 50
PAGE_MAX = 500

_AMOUNT_PATTERN = r"^(0|[1-9][0-9]{0,18})(\.[0-9]{1,4})?$"


class TransactionQuery(TimesQuery):
    """Query of the list."""

    begins_by: ClassVar[tuple[str, ...]] = (*TimesQuery.begins_by, "day")
    ends_by: ClassVar[tuple[str, ...]] = (*TimesQuery.ends_by, "day")

    account: str | None = Field(None, description="Payer or payee")
    user: str | None = Field(None, description="Payer or payee is one of the user's accounts")
    type: PaymentType | None = None
    status: PaymentStatus | None = None
    day: date | None = Field(None, alias="date", description="From the beginning to the end of this day (UTC)")
    currency: str | None = Field(None, pattern="^[A-Z]{3}$")
    min_amount: str | None = Field(None, pattern=_AMOUNT_PATTERN, description="Decimal, inclusive; needs currency")
    max_amount: str | None = Field(None, pattern=_AMOUNT_PATTERN, description="Decimal, inclusive; needs currency")
    limit: int = Field(PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    cursor: str | None = Field(None, max_length=64, description="next_cursor of the page before")

    @property
    def between(self) -> tuple[datetime | None, datetime | None]:
        """As every list has it; a day has both bounds."""
        (since, until), (begins, ends) = super().between, _bounds(self.day)
        return since or begins, until or ends

    @model_validator(mode="after")
    def _are_amounts_in_order(self) -> Self:
        low, high = self.min_amount, self.max_amount
        if low is not None and high is not None and Decimal(low) > Decimal(high):
            raise not_in_order("max_amount", "It is less than min_amount: exchange the two, or leave one of them out")
        return self

    def filter(self, accounts: Sequence[bytes] | None) -> PaymentFilter:
        """What the list shows. Raises Problem."""
        return PaymentFilter(
            tuple(accounts) if accounts is not None else None,
            self.type,
            self.status,
            *self.between,
            self.currency,
            _bound_minor("min_amount", self.min_amount, self.currency),
            _bound_minor("max_amount", self.max_amount, self.currency),
        )


class UserPaymentsQuery(TimesQuery):
    """Query of a user's payments."""

    limit: int = Field(PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    cursor: str | None = Field(None, max_length=64, description="nextCursor of the page before")

    def of_user(self, user_id: str) -> TransactionQuery:
        """The list that this means."""
        since, until = self.between
        return TransactionQuery(user=user_id, limit=self.limit, cursor=self.cursor, **{"from": since, "to": until})


async def _timeline(services: Services, principal: Principal, payment_id: str) -> Payment:
    parsed = parse_id(PAYMENT, payment_id)
    if parsed is None:
        raise unknown_payment()
    payment = await find_timeline(services.database, parsed)
    await require_party(services, principal, payment)
    return payment


async def _page(services: Services, principal: Principal, query: TransactionQuery) -> PaymentPage:
    accounts = await _accounts(services, principal, query)
    after = decode_cursor(query.cursor) if query.cursor is not None else None
    if accounts == []:
        return PaymentPage([], has_more=False, next_cursor=None)
    return await list_payments(services.database, query.filter(accounts), after, query.limit)


async def _accounts(services: Services, principal: Principal, query: TransactionQuery) -> list[bytes] | None:
    """Whose payments are meant; None for everybody's. Raises Problem where they are not for the principal."""
    if query.account is not None:
        account = known_account(query.account)
        await services.access.require(principal, account, Action.VIEW)
        if query.user is None:
            return [account]
    if query.user is not None:
        held = await accounts_of(services.database, user_named(principal, query.user))
        return held if query.account is None else [one for one in held if one == known_account(query.account)]
    if not by_scope(principal.scopes, Action.VIEW):
        detail = "Send the account whose payments you want, or user for those of all of a user's."
        raise field_problem(FieldError("?account", Fault.PARAMETER_INVALID, detail))
    return None


def _bounds(day: date | None) -> tuple[datetime | None, datetime | None]:
    if day is None:
        return None, None
    begins = datetime.combine(day, time(), UTC)
    return begins, begins + timedelta(days=1) if day < date.max else None


def _bound_minor(name: str, amount: str | None, currency: str | None) -> int | None:
    """Minor units of an amount in the query. Raises Problem."""
    if amount is None:
        return None
    if currency is None:
        raise field_problem(FieldError("?currency", Fault.PARAMETER_INVALID, f"{name} needs a currency."))
    minor = to_minor(Decimal(amount), currency) if Decimal(amount) else 0
    if isinstance(minor, int):
        return minor
    raise field_problem(FieldError(f"?{name}", minor, f"Not an amount of {currency}."))


@router.get("/transactions", **describe("Payments, newest first", Scope.PAYMENTS_READ, PaymentPage))
async def get_transactions(request: Request, query: Annotated[TransactionQuery, Query()]) -> Response:
    """Pages by keyset: what is posted meanwhile neither repeats nor hides a row. A page looks at 2,000 payments at
    most: of a filter it may show few or none although has_more.
    """
    return await respond(
        request,
        lambda services, call: read(services, call, Scope.PAYMENTS_READ, lambda who: _page(services, who, query)),
    )


@router.get("/transactions/{payment_id}", **describe("One payment, step by step", Scope.PAYMENTS_READ, Payment))
async def get_transaction(request: Request, payment_id: str, query: Annotated[UserPaymentsQuery, Query()]) -> Response:
    """With its timeline: topic, partition and offset of every step, and the journal entry. With a user's id in the
    place of the payment's: the user's payments between two times, as document 0 shows them.
    """

    async def find(services: Services, principal: Principal) -> Payment | TransactionList:
        if parse_id(USER, payment_id) is None:
            return await _timeline(services, principal, payment_id)
        page = await _page(services, principal, query.of_user(payment_id))
        return TransactionList(payment_id, as_document(page.items), page.has_more, page.next_cursor)

    return await show(request, Scope.PAYMENTS_READ, find)
