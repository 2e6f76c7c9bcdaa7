"""What time ends at a place: holds, and what is remembered of payments once nothing of them can be given back."""

from payments.entries import EntryKind
from payments.items.details import Detail, OrderStatus
from tests.model.rules import holds
from tests.model.rules.effects import Effect, Parties
from tests.model.rules.state import GRACE_US, State, given_back_item, order_item, settlement_item

AT_ONCE = 200
Ending = tuple[int, bytes, bytes, str]
"""When, what, whose, and of which kind: two of one id end in the order of these."""


def due(state: State, place: int, time_us: int) -> list[Ending]:
    """Whose time has come at a place, as many as end at once, in their order."""
    found: list[Ending] = [(hold.expires_at_us, id_, hold.payer, "hold") for id_, hold in state.holds.items()]
    found += [(given.ends_at_us, id_, given.payee, "of a payment") for (_, id_), given in state.given_back.items()]
    found += [(order.ends_at_us, id_, order.checkout, "order") for id_, order in state.orders.items()]
    found += [
        (one.ends_at_us, id_, one.owner, "settlement") for id_, one in state.settlements.items() if len(one.by) > 1
    ]
    coming = [ending for ending in found if ending[0] <= time_us and state.home(ending[2]) == place]
    return sorted(coming)[:AT_ONCE]


def ended(state: State, ending: Ending, time_us: int) -> Effect:
    """Forgotten, or looked at again in two weeks."""
    _, id_, owner, kind = ending
    match kind:
        case "hold":
            return holds.expired(state, id_)
        case "of a payment":
            item = _given_back(state, owner, id_, time_us)
        case "order":
            item = _order(state, id_, time_us)
        case _:
            item = settlement_item(id_, state.settlements.pop(id_), is_open=False)
    return Effect(EntryKind.NOTED, Parties(owner), details=(item,))


def _given_back(state: State, payee: bytes, id_: bytes, time_us: int) -> Detail:
    """As long as the payment is known, or something about it is open, it has to be known what was given back."""
    given = state.given_back[state.at(payee, id_)]
    if given.under_way or state.receipts.knows(state.home(payee), id_):
        given.ends_at_us = time_us + GRACE_US
        return given_back_item(id_, given)
    del state.given_back[state.at(payee, id_)]
    return given_back_item(id_, given, is_open=False)


def _order(state: State, id_: bytes, time_us: int) -> Detail:
    order = state.orders[id_]
    is_concluded = order.status in (OrderStatus.SUCCESS, OrderStatus.FAILED)
    if not is_concluded or any(request.order_id == id_ for request in state.requests.values()):
        order.ends_at_us = time_us + GRACE_US
        return order_item(id_, order)
    del state.orders[id_]
    return order_item(id_, order, is_open=False)
