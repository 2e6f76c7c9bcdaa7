"""Disputes and receivables over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from ingest_api.disputes import debts, reads, steps
from ingest_api.disputes.shown import (
    Dispute,
    DisputeBody,
    DisputePage,
    EvidenceBody,
    Receivable,
    ReceivablePage,
    RecoveryBody,
    ResolutionBody,
    seen_by,
)
from ingest_api.http.openapi import describe, describe_later, describe_step
from ingest_api.http.serving import respond, show
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.owners.rights import Action
from ingest_api.reads.accounts import known_account
from ingest_api.reads.items import ItemQuery
from ingest_api.services import Services

router = APIRouter(tags=["disputes"])


async def _disputes(services: Services, principal: Principal, query: ItemQuery) -> DisputePage:
    account = known_account(query.account)
    await services.access.require(principal, account, Action.VIEW)
    page = await reads.list_disputes(services.database, account, query)
    page.items = [seen_by(principal, dispute) for dispute in page.items]
    return page


async def _receivables(services: Services, principal: Principal, query: ItemQuery) -> ReceivablePage:
    account = known_account(query.account)
    await services.access.require(principal, account, Action.VIEW)
    return await reads.list_receivables(services.database, account, query)


@router.post("/disputes", **describe_later("Contest a payment", Scope.PAYMENTS_WRITE, Dispute, DisputeBody))
async def post_dispute(request: Request) -> Response:
    """By who paid, or an operator: part or all of what a merchant received, never more than refunds have left of it.
    The merchant is debited at once, whatever is there; what is not, the merchant owes.
    """
    return await respond(request, steps.open_dispute)


@router.get("/disputes", **describe("Disputes of an account, newest first", Scope.PAYMENTS_READ, DisputePage))
async def get_disputes(request: Request, query: Annotated[ItemQuery, Query()]) -> Response:
    """Against it as a merchant, and opened for it as a customer."""
    return await show(request, Scope.PAYMENTS_READ, lambda services, who: _disputes(services, who, query))


@router.get("/disputes/{dispute_id}", **describe("One dispute", Scope.PAYMENTS_READ, Dispute))
async def get_dispute(request: Request, dispute_id: str) -> Response:
    """How it stands, the evidence that was handed in, and what the merchant owes for it."""
    return await show(
        request, Scope.PAYMENTS_READ, lambda services, who: steps.known_dispute(services, who, dispute_id)
    )


@router.post(
    "/disputes/{dispute_id}/evidence",
    **describe_step("Hand in evidence", Scope.PAYMENTS_WRITE, Dispute, EvidenceBody),
)
async def post_evidence(request: Request, dispute_id: str) -> Response:
    """By the merchant or an operator: the hash of a document is on record, with its time, for ever."""
    return await respond(request, lambda services, call: steps.hand_in(services, call, dispute_id))


@router.post("/disputes/{dispute_id}/accept", **describe_step("Accept a dispute", Scope.PAYMENTS_WRITE, Dispute))
async def post_acceptance(request: Request, dispute_id: str) -> Response:
    """By the merchant or an operator: lost, and the customer's."""
    return await respond(request, lambda services, call: steps.accept(services, call, dispute_id))


@router.post(
    "/disputes/{dispute_id}/resolve",
    **describe_step("Resolve a dispute", Scope.PAYMENTS_WRITE, Dispute, ResolutionBody),
)
async def post_resolution(request: Request, dispute_id: str) -> Response:
    """By an operator. Won: the merchant has the amount again, less what is still owed of it. Lost: it is the
    customer's; a provisional credit stays, or is taken back where the merchant wins.
    """
    return await respond(request, lambda services, call: steps.resolve(services, call, dispute_id))


@router.get("/receivables", **describe("Debts of an account, newest first", Scope.PAYMENTS_READ, ReceivablePage))
async def get_receivables(request: Request, query: Annotated[ItemQuery, Query()]) -> Response:
    """What involuntary debits did not find there."""
    return await show(request, Scope.PAYMENTS_READ, lambda services, who: _receivables(services, who, query))


@router.get("/receivables/{receivable_id}", **describe("One debt", Scope.PAYMENTS_READ, Receivable))
async def get_receivable(request: Request, receivable_id: str) -> Response:
    """What is still owed of it."""
    return await show(
        request, Scope.PAYMENTS_READ, lambda services, who: debts.known_receivable(services, who, receivable_id)
    )


@router.post(
    "/receivables/{receivable_id}/recover",
    **describe_step("Recover a debt", Scope.LEDGER_WRITE, Receivable, RecoveryBody),
)
async def post_recovery(request: Request, receivable_id: str) -> Response:
    """For finance: part or all of it, from what the account has available."""
    return await respond(request, lambda services, call: debts.recover(services, call, receivable_id))


@router.post(
    "/receivables/{receivable_id}/write-off", **describe_step("Write a debt off", Scope.LEDGER_WRITE, Receivable)
)
async def post_write_off(request: Request, receivable_id: str) -> Response:
    """For finance: what is left of it becomes a loss."""
    return await respond(request, lambda services, call: debts.write_off(services, call, receivable_id))
