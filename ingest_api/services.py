"""The parts of one API process, made once and handed to every operation."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from ingest_api.aliases.service import Aliases
from ingest_api.audit_log.log import AuditLog
from ingest_api.commerce.orders import Orders
from ingest_api.discovery.presence import Presence
from ingest_api.discovery.registry import Registry
from ingest_api.fx.quotes import Quotes
from ingest_api.http.body_budget import BodyBudget
from ingest_api.http.rate_limit import ClientRateLimit
from ingest_api.identity.machines.machines import Machines
from ingest_api.identity.service import Identity
from ingest_api.identity.tokens import TokenVerifier
from ingest_api.metrics.figures import Figures
from ingest_api.owners.access import Access
from ingest_api.owners.register import OwnerRegister
from ingest_api.people.service import People
from ingest_api.preferences.register import NoticeRegister
from ingest_api.psp_webhooks.inbox import PspInbox
from ingest_api.publisher import Publisher
from ingest_api.reads.balances.balances import Balances
from ingest_api.reads.database import Database, Share
from ingest_api.reads.earlier_decisions import EarlierDecisions
from ingest_api.replies import ReplyListener, WaitingCalls
from ingest_api.risk.attributes import RiskKeys
from ingest_api.schedules.register import ScheduleRegister
from ingest_api.screening.desk import Screening
from ingest_api.submission import Submission
from ingest_api.webhook_endpoints.register import EndpointRegister
from runtime.settings import Settings


@dataclass(frozen=True)
class Services:
    """Started in the order of the fields, stopped in the reverse one."""

    settings: Settings
    tokens: TokenVerifier
    clients: ClientRateLimit
    bodies: BodyBudget
    audit: AuditLog
    database: Database
    balances: Balances
    earlier: EarlierDecisions
    aliases: Aliases
    identity: Identity
    machines: Machines
    people: People
    owners: OwnerRegister
    access: Access
    schedules: ScheduleRegister
    orders: Orders
    quotes: Quotes
    webhooks: EndpointRegister
    notices: NoticeRegister
    psp_inbox: PspInbox
    registry: Registry
    presence: Presence
    waiting: WaitingCalls
    listener: ReplyListener
    publisher: Publisher
    submission: Submission
    figures: Figures
    screening: Screening
    risk_keys: RiskKeys

    @classmethod
    def of(cls, settings: Settings) -> "Services":
        waiting = WaitingCalls(settings.api_process_id, settings.api_waiting_calls)
        publisher = Publisher(settings)
        reading, writing = Database.reading(settings), Database.writing(settings)
        registers = Share(writing, settings.api_database_writing_connections)
        earlier = EarlierDecisions.of(reading)
        database = Share(reading, settings.api_database_connections)
        aliases = Aliases.of(settings, registers)
        submission = Submission(publisher, waiting, earlier, settings.shards)
        tokens = TokenVerifier.of(settings)
        audit = AuditLog.of(settings, writing)
        identity = Identity.of(settings, tokens, registers)
        balances = Balances.of(settings, database)
        registry = Registry.of(settings, registers)
        return cls(
            settings,
            tokens,
            ClientRateLimit(settings.api_client_commands_per_s, settings.api_client_burst),
            BodyBudget(settings.api_body_bytes),
            audit,
            database,
            balances,
            earlier,
            aliases,
            identity,
            Machines.of(settings, identity.users, audit, registers),
            People.of(settings, registers),
            OwnerRegister.of(aliases.register, registers),
            Access(database),
            ScheduleRegister.of(registers),
            Orders.of(registers),
            Quotes.of(settings, registers),
            EndpointRegister.of(settings, audit, registers),
            NoticeRegister.of(settings, audit, registers),
            PspInbox.of(settings, registers),
            registry,
            Presence.of(settings, registry),
            waiting,
            ReplyListener(settings, waiting.resolve),
            publisher,
            submission,
            Figures(waiting, publisher, balances),
            Screening.of(settings, submission, registers),
            RiskKeys.of(settings),
        )

    @property
    def failure(self) -> str | None:
        """What this process cannot mend: another one has to take its place."""
        return self.publisher.failure or self.listener.failure

    async def start(self) -> None:
        """Ready afterwards: topics are there, the end of the replies is known. Postgres may come later."""
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._close_databases)  # a connecting pool keeps the process from ending
            await self.database.open()
            await self.audit.open()
            await self.earlier.open()
            await self.aliases.open()
            await self.identity.open()
            await self.machines.open()
            await self.people.open()
            await self.owners.open()
            await self.schedules.open()
            await self.orders.open()
            await self.quotes.open()
            await self.webhooks.open()
            await self.notices.open()
            await self.psp_inbox.open()
            await self.registry.open()
            await self.publisher.start()
            await self.listener.start()
            self.balances.start()
            await self.screening.open()
            undo.pop_all()

    async def stop(self) -> None:
        self.waiting.close()
        await self.screening.close()
        await self.publisher.stop()
        await self.listener.stop()
        await self.balances.stop()
        await self.presence.end()
        await self._close_databases()

    async def _close_databases(self) -> None:
        await self.registry.close()
        await self.psp_inbox.close()
        await self.notices.close()
        await self.webhooks.close()
        await self.quotes.close()
        await self.orders.close()
        await self.schedules.close()
        await self.owners.close()
        await self.people.close()
        await self.machines.close()
        await self.identity.close()
        await self.aliases.close()
        await self.earlier.close()
        await self.audit.close()
        await self.database.close()
