"""A charge as all sides tell it when everything went well; tests change one side."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from payments.commerce.connector import ConnectorOperation, Outcome
from payments.identifiers import system_account
from payments.items.details import OrderStatus
from payments.postings import SystemAccount
from reconciliation.internal.views import (
    AttemptView,
    JournalView,
    LedgerView,
    Movement,
    OrderView,
    Place,
    ProviderView,
    WalletView,
)
from reconciliation.internal.windows import Moment

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MOMENT = Moment(NOW)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PLACED = NOW - 3 * DAY
CLEARING = UUID(bytes=system_account(SystemAccount.STRIPE_CLEARING, "EUR"))
SELLER = UUID(int=0x7700_0000_0000_7000_8000_0000_0000_0001)
LEGS = ((CLEARING, -10_00, "EUR"), (SELLER, 10_00, "EUR"))
PLACE = Place(1, 20, 3)

ORDER = OrderView("order-1", OrderStatus.SUCCESS, 10_00, "EUR", 0, 0, PLACED)
ATTEMPT = AttemptView(
    "stripe",
    ConnectorOperation.CHARGE,
    has_order=True,
    amount_minor=10_00,
    currency="EUR",
    attempt=1,
    outcome=Outcome.SUCCEEDED,
    attempt_follows=False,
    reference="pi_1",
    is_open=False,
    asked_at=PLACED,
    asked_in=PLACE,
    changed_at=PLACED,
)
JOURNAL = JournalView(LEGS, is_open=False, is_refused=False, changed_at=PLACED)
LEDGER = LedgerView(10_00, "EUR", 1, PLACED, Place(1, 21, 0))
WALLET = WalletView(SELLER, is_open=False, changed_at=PLACED)
SAID = ProviderView(Outcome.SUCCEEDED, True, "pi_1", "", 10_00, "EUR", NOW)
"""Asked just now."""

CLEAN = Movement(UUID(int=7), PLACED, ORDER, ATTEMPT, JOURNAL, LEDGER, WALLET, SAID)

WAITING = CLEAN._replace(
    order=ORDER._replace(status=OrderStatus.EXECUTING),
    attempt=ATTEMPT._replace(is_open=True, outcome=None, attempt=0, reference=""),
    journal=JOURNAL._replace(is_open=True),
    ledger=None,
    wallet=WALLET._replace(is_open=True),
    provider=None,
)
"""The provider was asked three days ago, and nothing was heard."""

REFUSED = CLEAN._replace(
    order=ORDER._replace(status=OrderStatus.FAILED),
    attempt=ATTEMPT._replace(outcome=Outcome.FAILED),
    journal=JOURNAL._replace(is_refused=True),
    ledger=None,
    provider=SAID._replace(outcome=Outcome.FAILED, moved_minor=None),
)
