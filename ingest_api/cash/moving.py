"""Deposits and withdrawals by method, of an account or of a user's wallet: one command each, answered as a transfer.

A deposit is the operator's word that money has come in, so it needs the right to operate the account; a withdrawal is
the owner's, above a limit with a second factor.
"""

from ingest_api.aliases.parties import USER
from ingest_api.cash.bodies import WalletBody
from ingest_api.fx.priced import with_fee
from ingest_api.http.bodies import DepositBody, TransferBody, WithdrawalBody, deposit_command, withdrawal_command
from ingest_api.http.call import Answer, Call
from ingest_api.http.resources import account_text
from ingest_api.identity.tokens import Principal
from ingest_api.owners.access import require_user
from ingest_api.owners.rights import Action, user_of
from ingest_api.problems import Fault, FieldError, field_problem
from ingest_api.reads.accounts import known_account
from ingest_api.services import Services
from ingest_api.transfers import checked, move, move_instructed, read_body, require_to_pay
from payments.commands import Command, CommandKind
from payments.identifiers import format_id, parse_id
from payments.movements.assessing import UNKNOWN
from payments.terms.methods import method_account


async def deposit(services: Services, call: Call, account_id: str) -> Answer:
    """Pay money into an account."""
    principal, body, key = await read_body(services, call, DepositBody)
    return await _moved(services, call, principal, checked(deposit_command(body, known_account(account_id), key)))


async def withdraw(services: Services, call: Call, account_id: str) -> Answer:
    """Pay money of an account out."""
    principal, body, key = await read_body(services, call, WithdrawalBody)
    command = checked(withdrawal_command(body, known_account(account_id), key))
    if body.fee is None:
        return await _moved(services, call, principal, command)
    await _require(services, principal, command)
    asked = with_fee(services, body.fee, command, UNKNOWN)
    return await move_instructed(services, call, asked, asked.headline)


async def credit_wallet(services: Services, call: Call) -> Answer:
    """Pay into a user's wallet."""
    principal, body, key = await read_body(services, call, WalletBody)
    account = await _wallet_account(services, principal, body, key)
    return await _moved(services, call, principal, checked(deposit_command(body, account, key)))


async def debit_wallet(services: Services, call: Call) -> Answer:
    """Pay out of a user's wallet."""
    principal, body, key = await read_body(services, call, WalletBody)
    account = await _wallet_account(services, principal, body, key)
    return await _moved(services, call, principal, checked(withdrawal_command(body, account, key)))


async def _moved(services: Services, call: Call, principal: Principal, command: Command) -> Answer:
    await _require(services, principal, command)
    return await move(services, call, command)


async def _require(services: Services, principal: Principal, command: Command) -> None:
    """The right to move this money, and a second factor where it leaves. Raises Problem."""
    if command.kind is CommandKind.TRANSFER:
        await require_to_pay(services, principal, command)
    else:
        await services.access.require(principal, command.authority, Action.OPERATE)


async def _wallet_account(services: Services, principal: Principal, body: WalletBody, key: str) -> bytes:
    """The account that the user's id stood for when the call first came. Raises Problem, DatabaseUnavailable."""
    user = wallet_user(principal, body.user, "/user")
    checked(deposit_command(body, user, key))  # nothing is kept of a body that means no payment to any account
    outside = account_text(method_account(body.method, body.currency))
    named = TransferBody(format_id(USER, user), outside, body.amount, body.currency)
    return known_account((await services.aliases.resolved(principal.subject, key, named)).from_account)


def wallet_user(principal: Principal, named: str | None, pointer: str) -> bytes:
    """Whose wallet is meant. Raises Problem where it is nobody's, or not for the principal."""
    user = user_of(principal) if named is None else parse_id(USER, named)
    if user is None:
        raise field_problem(FieldError(pointer, Fault.FIELD_INVALID, "Send a user id: usr_ and 26 characters."))
    require_user(principal, user)
    return user
