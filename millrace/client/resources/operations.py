"""What people decide: quarantine, reviews, screening; and who did what."""

from collections.abc import Sequence

from millrace.client.endpoints import C, Resource, endpoint, listing
from millrace.client.models.operations import (
    AuditEntry,
    AuditVerification,
    Party,
    ProviderAttempt,
    QuarantineCase,
    QuarantineCaseDetail,
    ReviewCase,
    ScreeningHit,
)
from millrace.client.requests import Ask, Moment, given
from millrace.client.resources.accounts import only_if


class Quarantine(Resource[C]):
    """`client.quarantine`."""

    @listing("GET /v1/quarantine", QuarantineCase)
    def list(
        self,
        *,
        status: str | None = None,
        reason: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Ask:
        """Cases, newest first."""
        return Ask(query=given(status=status, reason=reason, limit=limit, cursor=cursor))

    @endpoint("GET /v1/quarantine/{case_id}", QuarantineCaseDetail)
    def get(self, case_id: str) -> Ask:
        """One case: its bytes, what is wrong with them, what to do."""
        return Ask((case_id,))

    @endpoint("POST /v1/quarantine/{case_id}/redrive", QuarantineCase, repeats=True)
    def redrive(self, case_id: str, *, force: bool | None = None) -> Ask:
        """Send it again, once, under the key that it always had."""
        return Ask((case_id,), body=given(force=force))

    @endpoint("POST /v1/quarantine/{case_id}/discard", QuarantineCase)
    def discard(self, case_id: str, because: str) -> Ask:
        """Give it up for a reason."""
        return Ask((case_id,), body={"because": because})


class Reviews(Resource[C]):
    """`client.reviews`: payments that a rule holds until people have decided."""

    @listing("GET /v1/cases", ReviewCase)
    def list(
        self,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Ask:
        """Open cases, the oldest first, by when they were opened."""
        return Ask(query=given(from_=since, to=until, limit=limit, cursor=cursor))

    @endpoint("GET /v1/cases/{case_id}", ReviewCase)
    def get(self, case_id: str) -> Ask:
        """One case with the rules that held the payment."""
        return Ask((case_id,))

    @endpoint("POST /v1/cases/{case_id}/decision", ReviewCase)
    def decide(self, case_id: str, decision: str, *, if_match: str | None = None, wait_s: int | None = None) -> Ask:
        """`approve` or `decline`. `if_match`: the case's ETag, of `client.request("GET", …).headers`."""
        return Ask((case_id,), body={"decision": decision}, wait_s=wait_s, headers=only_if(if_match))


class Attempts(Resource[C]):
    """`client.attempts`: requests of which a provider has said nothing certain, and that people settle."""

    @listing("GET /v1/attempts", ProviderAttempt)
    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Ask:
        """Those that nobody asks about any more, the oldest first."""
        return Ask(query=given(limit=limit, cursor=cursor))

    @endpoint("GET /v1/attempts/{attempt_id}", ProviderAttempt)
    def get(self, attempt_id: str) -> Ask:
        """One request, and what people have found out of it."""
        return Ask((attempt_id,))

    @endpoint("POST /v1/attempts/{attempt_id}/settle", ProviderAttempt, keyed=True)
    def settle(
        self,
        attempt_id: str,
        outcome: str,
        *,
        provider_reference: str | None = None,
        if_match: str | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """`succeeded` or `failed`: two people have to say the same."""
        body = given(outcome=outcome, provider_reference=provider_reference)
        return Ask((attempt_id,), body=body, key=idempotency_key, wait_s=wait_s, headers=only_if(if_match))


class Screening(Resource[C]):
    """`client.screening`: parties and the sanctions lists that they may be on."""

    @endpoint("PUT /v1/parties/{party_id}", Party)
    def set_party(self, party_id: str, type: str, names: Sequence[str]) -> Ask:
        """Name a user or the holder of a linked bank account, and screen the names."""
        return Ask((party_id,), body=given(type=type, names=names))

    @endpoint("GET /v1/parties/{party_id}", Party)
    def party(self, party_id: str) -> Ask:
        """The names and how the screening stands."""
        return Ask((party_id,))

    @listing("GET /v1/screening/hits", ScreeningHit)
    def hits(self, *, status: str | None = None, limit: int | None = None, cursor: str | None = None) -> Ask:
        """Parties that may be on a list, the oldest first."""
        return Ask(query=given(status=status, limit=limit, cursor=cursor))

    @endpoint("POST /v1/screening/hits/{hit_id}/decision", ScreeningHit)
    def decide(self, hit_id: str, decision: str, reason: str) -> Ask:
        """`false_positive` or `true_match`."""
        return Ask((hit_id,), body=given(decision=decision, reason=reason))


class Audit(Resource[C]):
    """`client.audit`: who did what."""

    @listing("GET /v1/audit", AuditEntry)
    def list(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        object: str | None = None,
        request_id: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Ask:
        """Entries, the latest first."""
        query = given(
            actor=actor,
            action=action,
            object=object,
            request_id=request_id,
            from_=since,
            to=until,
            limit=limit,
            cursor=cursor,
        )
        return Ask(query=query)

    @endpoint("GET /v1/audit/verify", AuditVerification)
    def verify(self, *, after: int | None = None, limit: int | None = None) -> Ask:
        """Whether the record is what was written: every hash of a stretch again. Keep `head`."""
        return Ask(query=given(after=after, limit=limit))
