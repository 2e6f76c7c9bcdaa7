"""Which transfer over a bank a call means: an account of ours on one side, a linked bank account on the other.

Guarantees: the caller may move the account's money, and the bank account is the caller's and verified.
"""

from ingest_api.external_banks.register import Asked
from ingest_api.http.bodies import parse_account
from ingest_api.identity.tokens import Principal
from ingest_api.owners.rights import Action
from ingest_api.people.linked import LinkedBankAccount, LinkStatus
from ingest_api.people.linking import own_linked
from ingest_api.problems import Fault, FieldError, Problem, field_problem
from ingest_api.services import Services
from payments.identifiers import BANK_ACCOUNT

_START = f"{BANK_ACCOUNT}_"


def is_bank_account(party: str) -> bool:
    """True where the text can only mean a linked bank account."""
    return party.startswith(_START)


async def sides(
    services: Services, principal: Principal, payer: tuple[str, str], payee: tuple[str, str]
) -> tuple[bytes, LinkedBankAccount, bool]:
    """The account, the bank account, and whether the money comes from the latter. Each party with its JSON pointer.
    Raises Problem.
    """
    is_collection = is_bank_account(payer[0])
    if is_collection == is_bank_account(payee[0]):
        detail = "One of the two is a linked bank account (bnk_…), the other one an account of yours."
        raise field_problem(FieldError(payee[1], Fault.FIELD_INVALID, detail))
    outside, inside = (payer, payee) if is_collection else (payee, payer)
    account = parse_account(*inside)
    if isinstance(account, FieldError):
        raise field_problem(account)
    await services.access.require(principal, account, Action.MOVE_MONEY)
    return account, await verified(services, principal, outside[0]), is_collection


async def verified(services: Services, principal: Principal, bank_account_id: str) -> LinkedBankAccount:
    """A bank account that the caller may pay to. Raises Problem."""
    linked = await own_linked(services, principal, bank_account_id)
    if linked.status is not LinkStatus.VERIFIED:
        detail = (
            f"The bank account is {linked.status}. Verify it with POST /v1/user/{{id}}/accounts/{{bank-id}}/verify."
        )
        raise Problem(Fault.BANK_ACCOUNT_UNVERIFIED, detail)
    return linked


def over(linked: LinkedBankAccount, bank: bytes | None) -> bytes:
    """The bank over which it is reached: the one named, if it may be, else the one that it was linked with. Raises
    Problem.
    """
    found = bank or linked.told.bank
    if found is None or linked.told.bank not in {None, found}:
        detail = "The bank account is not reached over this bank. It was linked with another one, or with none."
        raise Problem(Fault.BANK_ACCOUNT_UNVERIFIED, detail)
    return found


def asked(sides_: tuple[bytes, LinkedBankAccount, bool], bank: bytes | None, amount_minor: int, currency: str) -> Asked:
    """What is asked of the bank. Raises Problem."""
    account, linked, is_collection = sides_
    return Asked(over(linked, bank), linked.id, account, is_collection, amount_minor, currency)
