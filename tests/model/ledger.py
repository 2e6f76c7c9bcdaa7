"""The model: one plain ledger of the whole world that says what every operation has to be answered.

Written from the documents, operation by operation, with no eye to speed. `ask` is a command or an instruction,
`arrive` something that one account hears of another, `expire` the passing of time at one place; the caller says in
which order they happen, and the model what each does.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from payments.commands import Command, CommandKind
from payments.commerce.connector import ConnectorResult
from payments.entries import Credit, EntryKind, Step
from payments.identifiers import NIL
from payments.items.details import RULES_OWNER
from payments.movements.instructions import (
    AssessTransfer,
    AttributedTransfer,
    CancelOrder,
    CaptureHold,
    ClearDeposit,
    DecideReview,
    Envelope,
    Instruction,
    NoteEvidence,
    OpenAccount,
    OpenDispute,
    PayOut,
    PlaceCheckout,
    PlaceHold,
    PostJournal,
    PricedTransfer,
    RaiseHold,
    RecoverReceivable,
    Refund,
    RefundOrder,
    ResolveDispute,
    ReturnDeposit,
    SetLimits,
    SetRules,
    SetStanding,
    SettleAttempt,
    VoidHold,
    WriteOff,
)
from payments.rejections import Reason
from tests.model.rules import commerce, counted, endings, holds, journals, movements, reversals, risk
from tests.model.rules.effects import Effect, Parties, Told, in_any_order
from tests.model.rules.state import KEY_HOURS, Memory, State

RULES: dict[type[Command | Instruction], Callable[[State, bytes, Any, int], Effect | Reason]] = {
    Command: movements.command,
    OpenAccount: movements.opened,
    SetStanding: movements.standing,
    PricedTransfer: movements.priced,
    AttributedTransfer: movements.attributed,
    AssessTransfer: risk.advised,
    PlaceHold: holds.place,
    RaiseHold: holds.increase,
    CaptureHold: holds.capture,
    VoidHold: holds.void,
    ClearDeposit: reversals.clear,
    ReturnDeposit: reversals.bounce,
    Refund: reversals.refund,
    OpenDispute: reversals.open_dispute,
    NoteEvidence: reversals.note_evidence,
    ResolveDispute: reversals.resolve,
    RecoverReceivable: reversals.recover,
    WriteOff: reversals.write_off,
    PostJournal: journals.ask_legs,
    SetLimits: risk.set_limits,
    SetRules: risk.set_rules,
    DecideReview: risk.decide_review,
    PlaceCheckout: commerce.place,
    CancelOrder: commerce.cancel,
    RefundOrder: commerce.refund,
    PayOut: commerce.pay_out,
    SettleAttempt: commerce.settle,
}

Answer = tuple[Told | None, tuple[Credit, ...]]
"""What is said (nothing, in one case), and what other accounts hear of it."""


class Ledger:
    """The whole world's ledger. `home` names the place of an account: where its keys and receipts are remembered."""

    def __init__(self, home: Callable[[bytes], int]) -> None:
        self.state = State(home)
        self._bodies: dict[bytes, object] = {}
        self.keys = Memory(KEY_HOURS)

    def ask(self, operation_id: bytes, asked: Command | Instruction, time_us: int) -> Answer:
        """The first time it is decided; under the same key again, the first decision stands."""
        account, place = authority(asked), place_of(asked, self.state.home)
        if self.keys.knows(place, operation_id):
            return self._again(operation_id, asked, self._bodies[operation_id] == body(asked)), ()
        if self._names_what_is_open(operation_id, asked):
            return self._again(operation_id, asked, is_same=False), ()
        is_decision = not isinstance(asked, AssessTransfer)
        if is_decision:
            self.keys.remember(place, operation_id, time_us)
            self._bodies[operation_id] = body(asked)
        effect = RULES[type(asked)](self.state, operation_id, asked, time_us)
        if _is_assessed(asked):
            effect = risk.assessed(self.state, operation_id, parties(asked), effect, time_us)
        if isinstance(effect, Reason):
            effect = Effect(EntryKind.REJECTED, parties(asked), account, reason=effect)
        if isinstance(asked, AttributedTransfer):
            effect = counted.observed(self.state, operation_id, asked, effect, time_us)
        return self._told(effect, operation_id, is_decision), self._sent(effect)

    def arrive(self, message: Credit, time_us: int) -> Answer:
        """One account hears of another. Raises KeyError where nobody told it."""
        self.state.under_way.remove(message)
        effect = self._heard(message, time_us)
        if effect is None:
            return None, ()
        return self._told(effect, message.operation_id), self._sent(effect)

    def conclude(self, owner: bytes, result: ConnectorResult, time_us: int) -> Answer:
        """A provider has answered who waits for it."""
        effect = commerce.concluded(self.state, owner, result, time_us)
        return self._told(effect, result.request_id), self._sent(effect)

    def expire(self, place: int, time_us: int) -> list[Told]:
        """Time has come this far at a place."""
        due = endings.due(self.state, place, time_us)
        return [self._told(endings.ended(self.state, ending, time_us), ending[1]) for ending in due]

    def _heard(self, message: Credit, time_us: int) -> Effect | None:
        match message.step:
            case Step.CREDIT if message.reason is Reason.NONE:
                return movements.arrived(self.state, message, time_us)
            case Step.CREDIT:
                return movements.came_back(self.state, message)
            case Step.COLLECT:
                return reversals.collected(self.state, message)
            case Step.PREPARE:
                return journals.asked_leg(self.state, message, time_us)
            case Step.PREPARED:
                return journals.answered(self.state, message)
            case Step.OBSERVE:
                return counted.counted(self.state, message)
            case Step.LEARN:
                return counted.learned(message)
            case Step.CONCLUDE:
                return commerce.settled(self.state, message, time_us)
            case _:
                return journals.ended(self.state, message, time_us)

    def _names_what_is_open(self, operation_id: bytes, asked: Command | Instruction) -> bool:
        """A key is free again after its time, but not while what was begun under it has not ended."""
        state = self.state
        match asked:
            case Command(kind=CommandKind.DEPOSIT):
                return movements.is_waited_for(asked.payer) and state.at(asked.payee, operation_id) in state.deposits
            case Command(kind=CommandKind.TRANSFER) | PricedTransfer() | AttributedTransfer() | PlaceHold():
                return operation_id in state.holds
            case OpenDispute():
                return operation_id in state.disputes or operation_id in state.debts
            case ReturnDeposit():
                return operation_id in state.debts
            case PostJournal():
                return operation_id in state.journals
            case CancelOrder() | PayOut():
                return operation_id in state.journals or operation_id in state.settlements
            case _:
                return False

    def _again(self, operation_id: bytes, asked: Command | Instruction, is_same: bool) -> Told:
        kind, reason = EntryKind.KEY_REUSED, Reason.IDEMPOTENCY_KEY_REUSED
        if is_same:
            kind, reason = EntryKind.REPLAYED, Reason.NONE
        effect = Effect(kind, parties(asked), authority(asked), reason=reason)
        return self._told(effect, operation_id, is_decision=not isinstance(asked, AssessTransfer))

    def _told(self, effect: Effect, operation_id: bytes, is_decision: bool = False) -> Told:
        return Told(
            effect.kind,
            effect.reason,
            effect.operation_id or operation_id,
            effect.parties,
            self.state.available(effect.account),
            is_decision,
            tuple(sorted(effect.posted)),
            in_any_order(effect.details),
        )

    def _sent(self, effect: Effect) -> tuple[Credit, ...]:
        self.state.under_way.update(effect.messages)
        return effect.messages


def authority(asked: Command | Instruction) -> bytes:
    """The account that the key belongs to: who pays, and of a deposit who receives."""
    if isinstance(asked, Command):
        return asked.payee if asked.kind is CommandKind.DEPOSIT else asked.payer
    match asked:
        case (
            PricedTransfer()
            | AttributedTransfer()
            | AssessTransfer()
            | PlaceHold()
            | RaiseHold()
            | VoidHold()
            | DecideReview()
        ):
            return asked.payer
        case SetRules():
            return RULES_OWNER
        case Refund() | NoteEvidence() | ResolveDispute():
            return asked.merchant
        case PostJournal():
            return asked.legs[0].account
        case PlaceCheckout() | CancelOrder():
            return asked.checkout
        case SettleAttempt():
            return asked.owner
        case _:
            account: bytes = asked.account  # type: ignore[attr-defined]  # every other kind is about one account
            return account


def place_of(asked: Command | Instruction, home: Callable[[bytes], int]) -> int:
    """Where it is decided: rules are set at each place by itself."""
    return asked.shard if isinstance(asked, SetRules) else home(authority(asked))


def _is_assessed(asked: Command | Instruction) -> bool:
    if isinstance(asked, Command):
        return asked.kind is CommandKind.TRANSFER
    return isinstance(asked, PricedTransfer | AttributedTransfer | PlaceHold | PayOut)


def body(asked: Command | Instruction) -> object:
    """Everything that makes it what it is: all but the key, who waits for the answer, and how it was asked for."""
    if isinstance(asked, AttributedTransfer):
        asked = asked.command
    if isinstance(asked, Command):
        return asked._replace(idempotency_key="", reply_to=b"")
    return type(asked), replace(asked, envelope=Envelope("", description=asked.envelope.description))


def parties(asked: Command | Instruction) -> Parties:
    """What a refusal names."""
    if isinstance(asked, Command):
        return Parties(asked.payer, asked.payee, asked.amount_minor, asked.currency)
    match asked:
        case PricedTransfer():
            return movements.named(asked)
        case PlaceHold() | AttributedTransfer() | AssessTransfer():
            return Parties(asked.payer, asked.payee, asked.amount_minor, asked.currency)
        case Refund():
            return Parties(asked.merchant, asked.customer, asked.amount_minor, asked.currency)
        case ReturnDeposit():
            return Parties(asked.account, asked.clearing_account, asked.amount_minor, asked.currency)
        case PayOut():
            return commerce.named(asked)
        case RefundOrder():
            return Parties(asked.checkout, NIL, asked.amount_minor, asked.currency)
        case RaiseHold() | RecoverReceivable():
            return Parties(authority(asked), amount=asked.amount_minor)
        case _:
            return Parties(authority(asked))
