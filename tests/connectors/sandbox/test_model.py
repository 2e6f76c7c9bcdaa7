"""Goal: the sandbox never takes, refunds or pays out more than it may, and a key never does a thing twice, whatever is
asked in whatever order, over kills.

Method: Stripe's SDK sends random operations, old keys among them; an obvious model of a few dictionaries says what has
to come back, and at the end what every intent and the balance must be.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import stripe
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.connectors.sandbox_process import SandboxProcess

amounts = st.integers(50, 500)
choices = st.integers(0, 10**6)

Asked = tuple[str, str, dict[str, Any]]
"""Operation, the intent it is about, its fields."""


@dataclass
class Modelled:
    """A payment as anybody would keep it."""

    amount: int
    status: str
    taken: int = 0
    refunded: int = 0

    @property
    def fee(self) -> int:
        return (self.taken * 29 + 500) // 1_000 + 30 if self.taken else 0


class SandboxModel(RuleBasedStateMachine):
    """Beside the process: intents by id, answers by key, and what was paid out."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self.intents: dict[str, Modelled] = {}
        self.answered: list[tuple[str, Asked, str]] = []
        self.paid_out = 0
        self.was_killed = False

    @initialize()
    def start(self) -> None:
        self.sandbox = SandboxProcess(Path(self._folder.name) / "state.sqlite")
        self.sdk = self.sandbox.sdk()

    def teardown(self) -> None:
        if hasattr(self, "sandbox"):
            self.check_everything()
            self.sandbox.end()
        self._folder.cleanup()

    def ask(self, asked: Asked, key: str) -> str:
        """The id of what came of it, or the code of the refusal."""
        operation, about, fields = asked
        options = {"idempotency_key": key}
        intents = self.sdk.payment_intents
        try:
            match operation:
                case "pay":
                    return str(intents.create({**fields, "currency": "usd", "confirm": True}, options).id)
                case "refund":
                    return str(self.sdk.refunds.create({"payment_intent": about, **fields}, options).id)
                case "payout":
                    return str(self.sdk.payouts.create({**fields, "currency": "usd"}, options).id)
                case _:
                    return str(getattr(intents, operation)(about, fields, options).id)
        except stripe.StripeError as error:
            return error.code or type(error).__name__

    def ask_new(self, *asked: Any) -> str:
        key = f"key-{len(self.answered)}"
        found = self.ask(asked, key)
        self.answered.append((key, asked, found))
        return found

    def one_of(self, choice: int) -> tuple[str, Modelled]:
        return [*self.intents.items()][choice % len(self.intents)]

    def available(self) -> int:
        return sum(one.taken - one.fee - one.refunded for one in self.intents.values()) - self.paid_out

    @rule(amount=amounts, is_manual=st.booleans())
    def pay(self, amount: int, is_manual: bool) -> None:
        method = "manual" if is_manual else "automatic"
        fields = {"amount": amount, "payment_method": "pm_card_visa", "capture_method": method}
        status = "requires_capture" if is_manual else "succeeded"
        self.intents[self.ask_new("pay", "", fields)] = Modelled(amount, status, 0 if is_manual else amount)

    @rule(amount=amounts)
    def pay_with_a_card_that_is_declined(self, amount: int) -> None:
        fields = {"amount": amount, "payment_method": "pm_card_chargeDeclined"}
        assert self.ask_new("pay", "", fields) == "card_declined"

    @precondition(lambda self: self.intents)
    @rule(choice=choices, amount=amounts)
    def capture(self, choice: int, amount: int) -> None:
        intent, model = self.one_of(choice)
        found = self.ask_new("capture", intent, {"amount_to_capture": amount})
        if model.status != "requires_capture":
            assert found == "payment_intent_unexpected_state"
        elif amount > model.amount:
            assert found == "amount_too_large"
        else:
            assert found == intent
            model.status, model.taken = "succeeded", amount

    @precondition(lambda self: self.intents)
    @rule(choice=choices)
    def cancel(self, choice: int) -> None:
        intent, model = self.one_of(choice)
        found = self.ask_new("cancel", intent, {})
        if model.status == "requires_capture":
            assert found == intent
            model.status = "canceled"
        else:
            assert found == "payment_intent_unexpected_state"

    @precondition(lambda self: self.intents)
    @rule(choice=choices, amount=st.integers(1, 300))
    def refund(self, choice: int, amount: int) -> None:
        intent, model = self.one_of(choice)
        found = self.ask_new("refund", intent, {"amount": amount})
        if not model.taken:
            assert found == "charge_not_refundable"
        elif model.taken == model.refunded:
            assert found == "charge_already_refunded"
        elif amount > model.taken - model.refunded:
            assert found == "InvalidRequestError"
        else:
            assert found.startswith("re_")
            model.refunded += amount

    @rule(amount=amounts)
    def payout(self, amount: int) -> None:
        is_covered = amount <= self.available()
        found = self.ask_new("payout", "", {"amount": amount})
        assert found.startswith("po_") if is_covered else found == "balance_insufficient"
        self.paid_out += amount if is_covered else 0

    @precondition(lambda self: self.answered)
    @rule(choice=choices)
    def ask_again(self, choice: int) -> None:
        key, asked, found = self.answered[choice % len(self.answered)]
        assert self.ask(asked, key) == found

    @precondition(lambda self: self.answered)
    @rule(choice=choices)
    def use_a_key_for_something_else(self, choice: int) -> None:
        key, _, _ = self.answered[choice % len(self.answered)]
        assert self.ask(("pay", "", {"amount": 99, "payment_method": "pm_card_amex"}), key) == "IdempotencyError"

    @precondition(lambda self: not self.was_killed)
    @rule()
    def kill(self) -> None:
        """Once: a start takes as long as a hundred other steps."""
        self.was_killed = True
        self.sandbox.kill()
        self.sandbox.start()

    def check_everything(self) -> None:
        for intent in self.sandbox.all("payment_intents"):
            if intent["id"] in self.intents:
                model = self.intents[intent["id"]]
                assert (intent["status"], intent["amount_received"]) == (model.status, model.taken)
            else:
                assert (intent["status"], intent["amount_received"]) == ("requires_payment_method", 0)
        refunded: dict[str, int] = {}
        for refund in self.sandbox.all("refunds"):
            refunded[refund["payment_intent"]] = refunded.get(refund["payment_intent"], 0) + refund["amount"]
        assert refunded == {intent: model.refunded for intent, model in self.intents.items() if model.refunded}
        assert sum(one["net"] for one in self.sandbox.all("balance_transactions")) == self.available()


TestSandboxModel = SandboxModel.TestCase
TestSandboxModel.settings = examples(max_examples=6, stateful_step_count=60)
