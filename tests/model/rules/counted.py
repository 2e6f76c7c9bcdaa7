"""Features over all accounts: an attempt is told to the place of its device, counted there once, and made known.

When something is published is a matter of the pipeline; the model says what may be published, to whom, and that those
and nobody else hear of it.
"""

from payments.commands import NO_REPLY
from payments.entries import Credit, Entry, EntryKind, Step
from payments.items.details import Observation, Published
from payments.movements.instructions import AttributedTransfer
from payments.risk.activity import Key
from payments.risk.features import FEATURES
from payments.spanning.keeping import set_of
from tests.model.rules.effects import Effect, Judged, Parties
from tests.model.rules.state import HOUR_US, State

_WINDOW_US = 30 * 24 * HOUR_US
READ = FEATURES["device_attempts_30d"].position
"""The one feature of this kind that the rule sets of a run read."""


def observed(state: State, operation_id: bytes, asked: AttributedTransfer, effect: Effect, time_us: int) -> Effect:
    """Behind a decision that a rule set had a say in."""
    is_judged = any(isinstance(detail, Judged) for detail in effect.details)
    if not is_judged or state.home(asked.payer) not in state.rules:
        return effect
    device = asked.envelope.attributes.device_key
    payee = asked.payee[8:] if any(asked.payee) else b""  # nobody is no key
    keys = asked.payer[8:], payee, b"", device, b""
    told = Observation(Key.DEVICE, keys, time_us, effect.kind is not EntryKind.REJECTED)
    place = set_of(Key.DEVICE, device)
    parties = asked.payer, place, asked.amount_minor, asked.currency
    message = Credit(operation_id, *parties, NO_REPLY, step=Step.OBSERVE, details=(told,))
    return effect._replace(messages=(*effect.messages, message))


def counted(state: State, message: Credit) -> Effect:
    """Once, whatever becomes of the payment."""
    (told,) = message.details
    assert isinstance(told, Observation)
    state.attempts.setdefault(told.keys[Key.DEVICE], []).append((told.at_us, message.payer))
    parties = Parties(message.payer, message.payee, message.amount_minor, message.currency)
    return Effect(EntryKind.OBSERVED, parties, details=message.details)


def published(state: State, entry: Entry) -> tuple[Credit, ...] | str:
    """What is made known by an entry, or what is wrong with it."""
    messages: list[Credit] = []
    if entry.kind is not EntryKind.OBSERVED:
        return ()
    for said in (detail for detail in entry.details if isinstance(detail, Published)):
        attempts = state.attempts[said.key]
        lately = sum(at_us > entry.decided_at_us - _WINDOW_US for at_us, _ in attempts)
        if not lately <= dict(said.values)[READ] <= len(attempts):
            return f"{dict(said.values)} published of {lately} to {len(attempts)} attempts"
        if not set(said.askers) <= {payer for _, payer in attempts}:
            return "published to somebody who never asked"
        told = (said._replace(askers=()),)
        place = set_of(Key.DEVICE, said.key)
        messages += [
            Credit(entry.operation_id, asker, place, 0, entry.currency, NO_REPLY, step=Step.LEARN, details=told)
            for asker in said.askers
        ]
    state.under_way.update(messages)
    return tuple(messages)


def learned(message: Credit) -> Effect:
    """Known from here on."""
    return Effect(EntryKind.LEARNED, Parties(bytes(16), message.payee, 0, message.currency), details=message.details)
