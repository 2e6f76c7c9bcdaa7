"""What the sandbox's bank does with a transfer: accounts with a balance, transfers that settle at once or when told to.

Reads and writes the store's file, in the caller's transaction. An account that nobody has described is open, with
enough on it.
"""

import secrets
from decimal import Decimal, InvalidOperation
from typing import Final

from connectors.sandbox.refusal import JsonObject
from connectors.sandbox.store import Store

TRANSFER, ACCOUNT, CODE = "transfer", "account", "code"
"""Kinds of the store."""

BALANCE_AT_FIRST: Final = "1000000.00"


class Refused(Exception):
    """The request is not taken: `str()` is the error's code."""


def number_of(account: JsonObject) -> str:
    """One text for an account, however it is named. Raises Refused."""
    if set(account) == {"iban"}:
        return str(account["iban"])
    if set(account) == {"routing_number", "account_number"}:
        return f"{account['routing_number']}/{account['account_number']}"
    raise Refused("account_invalid")


class SandboxBank:
    """The bank itself."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.settles_at_once = True

    def account(self, number: str) -> JsonObject:
        """{id, balance, holder, is_open}; the holder is empty where nobody has named one."""
        described: JsonObject = {"id": number, "balance": BALANCE_AT_FIRST, "holder": "", "is_open": True}
        return self.store.find(number) or described

    def transfer(self, asked: JsonObject) -> JsonObject:
        """Take a transfer: `credit` sends to the account, `debit` collects from it. Raises Refused."""
        if asked.get("direction") not in {"credit", "debit"}:
            raise Refused("direction_invalid")
        number = number_of(asked.get("account") or {})
        return self._made(asked, number, asked["direction"], _amount(asked))

    def give_back(self, transfer_id: str, asked: JsonObject) -> JsonObject:
        """Return part or all of what was collected. Raises Refused."""
        collected = self.find(transfer_id)
        amount = _amount(asked)
        if collected is None or collected["direction"] != "debit" or collected["status"] != "settled":
            raise Refused("transfer_not_returnable")
        returned = Decimal(collected["returned"]) + amount
        if returned > Decimal(collected["amount"]):
            raise Refused("amount_exceeded")
        self.store.put(TRANSFER, {**collected, "returned": str(returned)})
        return self._made({**asked, "currency": collected["currency"]}, collected["number"], "credit", amount)

    def settle(self, transfer_id: str, *, is_settled: bool) -> JsonObject | None:
        """What happens later to a transfer that waits."""
        waiting = self.find(transfer_id)
        if waiting is None or waiting["status"] != "pending":
            return None
        return self._ended(waiting, "" if is_settled else "account_closed")

    def find(self, transfer_id: str) -> JsonObject | None:
        return self.store.find(transfer_id)

    def of_reference(self, reference: str) -> list[JsonObject]:
        """Those that carry this reference of the caller's, the newest first."""
        return [made for made in self.store.newest_first(TRANSFER) if made["reference"] == reference]

    def code(self, number: str) -> JsonObject:
        """What the bank gives the holder of an account, who is logged in there: {id: the code}."""
        given: JsonObject = {"id": secrets.token_urlsafe(16), "number": number, "is_used": False}
        self.store.put(CODE, given)
        return given

    def holds(self, asked: JsonObject) -> JsonObject:
        """Whether the account is this holder's, who was given this code: `match`, `no_match`, or `unknown` where nobody
        is named. A code serves once. Raises Refused.
        """
        number = number_of(asked.get("account") or {})
        given = self.store.find(str(asked.get("code")))
        if given is None or given.get("is_used", True) or given["number"] != number:
            raise Refused("code_invalid")
        self.store.put(CODE, {**given, "is_used": True})
        named = self.account(number)["holder"]
        if not named:
            return {"result": "unknown"}
        return {"result": "match" if named.casefold() == str(asked.get("holder")).casefold() else "no_match"}

    def _made(self, asked: JsonObject, number: str, direction: str, amount: Decimal) -> JsonObject:
        made: JsonObject = {
            "id": f"trf_{secrets.token_hex(10)}",
            "reference": str(asked.get("reference", "")),
            "direction": direction,
            "number": number,
            "amount": str(amount),
            "currency": str(asked.get("currency", "")),
            "status": "pending",
            "reason": "",
            "returned": "0",
        }
        self.store.put(TRANSFER, made)
        return self._ended(made, self._refusal(number, direction, amount)) if self.settles_at_once else made

    def _refusal(self, number: str, direction: str, amount: Decimal) -> str:
        account = self.account(number)
        if not account["is_open"]:
            return "account_closed"
        return "insufficient_funds" if direction == "debit" and Decimal(account["balance"]) < amount else ""

    def _ended(self, transfer: JsonObject, reason: str) -> JsonObject:
        ended = {**transfer, "status": "rejected" if reason else "settled", "reason": reason}
        self.store.put(TRANSFER, ended)
        if not reason:
            account = self.account(transfer["number"])
            amount = Decimal(transfer["amount"]) * (1 if transfer["direction"] == "credit" else -1)
            self.store.put(ACCOUNT, {**account, "balance": str(Decimal(account["balance"]) + amount)})
        return ended


def _amount(asked: JsonObject) -> Decimal:
    """Raises Refused."""
    try:
        amount = Decimal(str(asked.get("amount")))
    except InvalidOperation:
        raise Refused("amount_invalid") from None
    if not amount.is_finite() or amount <= 0:
        raise Refused("amount_invalid")
    return amount
