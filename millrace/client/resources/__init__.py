"""Every resource of a client, by name. Each is written once, for threads and tasks."""

from typing import Generic, cast

from millrace.client.endpoints import C
from millrace.client.resources.accounts import Accounts
from millrace.client.resources.cash import Deposits, Wallets, Withdrawals
from millrace.client.resources.commerce import Banks, Checkouts, Orders, Payouts
from millrace.client.resources.disputes import Disputes, Receivables
from millrace.client.resources.holds import Holds
from millrace.client.resources.ledger import FxQuotes, Journals
from millrace.client.resources.operations import Attempts, Audit, Quarantine, Reviews, Screening
from millrace.client.resources.people import ApiKeys, Auth, Users
from millrace.client.resources.plans import Aliases, Schedules
from millrace.client.resources.reconciliation import Breaks, Reconciliation
from millrace.client.resources.told import Events, Notifications, WebhookEndpoints
from millrace.client.resources.transfers import Transfers


class Resources(Generic[C]):
    """What a client offers."""

    def __init__(self) -> None:
        caller = cast(C, self)
        self.accounts = Accounts(caller)
        self.transfers = Transfers(caller)
        self.deposits = Deposits(caller)
        self.withdrawals = Withdrawals(caller)
        self.wallets = Wallets(caller)
        self.holds = Holds(caller)
        self.disputes = Disputes(caller)
        self.receivables = Receivables(caller)
        self.journals = Journals(caller)
        self.fx_quotes = FxQuotes(caller)
        self.schedules = Schedules(caller)
        self.aliases = Aliases(caller)
        self.checkouts = Checkouts(caller)
        self.orders = Orders(caller)
        self.payouts = Payouts(caller)
        self.banks = Banks(caller)
        self.events = Events(caller)
        self.webhook_endpoints = WebhookEndpoints(caller)
        self.notifications = Notifications(caller)
        self.quarantine = Quarantine(caller)
        self.reviews = Reviews(caller)
        self.attempts = Attempts(caller)
        self.screening = Screening(caller)
        self.audit = Audit(caller)
        self.reconciliation = Reconciliation(caller)
        self.breaks = Breaks(caller)
        self.users = Users(caller)
        self.auth = Auth(caller)
        self.api_keys = ApiKeys(caller)
