"""Money over a bank: out of an account as a payout, into it as a charge, with the bank as the provider.

Nothing of it is decided here: what holds, asks the bank, and posts or releases is the core's machinery of payouts and
checkouts (docs/connectors.md, decision 0012). Guarantees: the same key means the same transfer, to the bank too; money
goes to and comes from verified bank accounts alone.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

from ingest_api.account_changes.asking import is_replay
from ingest_api.aliases.pins import request_digest
from ingest_api.commerce.reads import find_payout
from ingest_api.commerce.shown import reason_text, told
from ingest_api.external_banks.register import Asked
from ingest_api.external_banks.shown import BankTransfer, shown_transfer
from ingest_api.http.call import Call
from ingest_api.identity.second_factor.step_up import require_for_money_out
from ingest_api.identity.tokens import Principal
from ingest_api.instructions.asking import ask, require_taken, reused
from ingest_api.reads.settled import look_until
from ingest_api.seed_routes.words import WORDS
from ingest_api.services import Services
from payments.commerce.bank_accounts import BankAccount
from payments.identifiers import derive_checkout_id, derive_operation_id, derive_order_id
from payments.items.details import OrderStatus
from payments.lifecycle import FINAL, PaymentStatus
from payments.movements.instructions import Envelope, Instruction, Order, PayOut, PlaceCheckout
from payments.rejections import Reason
from payments.terms.providers import BANK
from schemas.codec.fields import REASONS
from schemas.partitioning import shard_of

_COLLECTION: Final = "SELECT status, reason, decline, is_done FROM payment_order_states WHERE order_id = %s"
_STATUS: Final = {words.ecommerce: status for status, words in reversed(WORDS.items())}
"""Of several that a payment order has one word for, the earliest."""


class Moved(NamedTuple):
    """A transfer as it stands when its call is answered."""

    transfer: BankTransfer
    headers: dict[str, str]
    is_replayed: bool


async def move_over_bank(
    services: Services, call: Call, asked: Asked, envelope: Envelope, principal: Principal
) -> Moved:
    """Send it, and wait for what becomes of it. The caller may do this with the account, and the bank account is
    verified. Raises Problem, QueueFull, DeliveryUnknown, DatabaseUnavailable.
    """
    if not asked.is_collection:
        await require_for_money_out(services, principal, asked.amount_minor, asked.currency)
    transfer, instruction = _instruction(services, asked, envelope)
    if await services.people.banks.ask(transfer, asked, principal.subject) != asked:
        raise reused()
    (outcome,), headers = await ask(services, call, [instruction])
    await require_taken(services, outcome, headers)
    found = await look_until(outcome.deadline, lambda: find_state(services, transfer, asked), lambda it: it.final)
    state = found or shown_transfer(transfer, asked, PaymentStatus.RECEIVED, is_final=False)
    return Moved(state, headers, is_replay(outcome))


def _instruction(services: Services, asked: Asked, envelope: Envelope) -> tuple[bytes, Instruction]:
    """The id of the transfer, and what is sent."""
    token = BankAccount(asked.bank, asked.bank_account).token
    shards = services.settings.shards
    if not asked.is_collection:
        payout = PayOut(
            envelope=envelope,
            account=asked.account,
            provider=BANK,
            token=token,
            amount_minor=asked.amount_minor,
            currency=asked.currency,
        )
        return derive_operation_id(asked.account, envelope.idempotency_key, shard_of(asked.account, shards)), payout
    name = _collection_name(asked.account, envelope.idempotency_key)
    checkout = derive_checkout_id(name)
    order = Order(name, asked.account, asked.amount_minor, asked.currency, False)
    charge = PlaceCheckout(
        envelope=Envelope(name, description=name),
        checkout=checkout,
        provider=BANK,
        token=token,
        buyer="",
        orders=(order,),
    )
    return derive_order_id(checkout, name, shard_of(checkout, shards)), charge


def _collection_name(account: bytes, key: str) -> str:
    """Of the checkout and of its one order: no caller can name one like this, and each key has one."""
    return f"collection-{request_digest(b'collection', account.hex(), key).hex()}"


async def find_state(services: Services, transfer: bytes, asked: Asked) -> BankTransfer | None:
    """How the ledger shows it; None where it does not show it yet. Raises DatabaseUnavailable."""
    if asked.is_collection:
        row = await services.database.row(_COLLECTION, (UUID(bytes=transfer),))
        return _of_order(transfer, asked, row) if row is not None else None
    found = await find_payout(services.database, transfer)
    if found is None:
        return None
    payout = found[1]
    state = shown_transfer(transfer, asked, payout.status, is_final=payout.final)
    state.reason, state.decline = payout.reason, payout.decline
    return state


def _of_order(transfer: bytes, asked: Asked, row: Mapping[str, Any]) -> BankTransfer:
    reason = REASONS[row["reason"]]
    status = _STATUS[OrderStatus(row["status"])]
    if status is PaymentStatus.POSTED and not row["is_done"]:
        status = PaymentStatus.AUTHORISED
    if reason is Reason.PROVIDER_DECLINED:
        status = PaymentStatus.RETURNED
    state = shown_transfer(transfer, asked, status, is_final=status in FINAL)
    state.reason, state.decline = reason_text(reason), told(row["decline"])
    return state
