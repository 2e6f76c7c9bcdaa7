"""Paths of document 0 that move money."""

from fastapi import APIRouter, Request, Response

from ingest_api.http.openapi import describe
from ingest_api.http.serving import respond
from ingest_api.identity.tokens import Scope
from ingest_api.seed_routes.shown import Transaction, TransactionBody
from ingest_api.seed_routes.transactions import create_transaction

router = APIRouter(tags=["document 0"])


@router.post(
    "/transaction",
    **describe(
        "Send money", Scope.PAYMENTS_WRITE, Transaction, body=TransactionBody, statuses=(200,), key_needed=False
    ),
)
async def post_transaction(request: Request) -> Response:
    """Between users, accounts, aliases and linked bank accounts. What a rule refuses is `declined`; a side that does
    not exist is 404.
    """
    return await respond(request, create_transaction)
