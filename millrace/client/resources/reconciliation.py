"""What banks and providers say against the books: files, runs, breaks, signatures. Answers are plain JSON values."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from millrace.client.endpoints import C, Resource, endpoint, listing
from millrace.client.requests import Ask, given

Json = dict[str, Any]
ReportFormat = Literal["csv", "xlsx", "pdf"]


class Reconciliation(Resource[C]):
    """`client.reconciliation`: files that came, runs over them, what was signed."""

    @endpoint("GET /v1/reconciliation/sources", Json)
    def sources(self) -> Ask:
        """Who sends files."""
        return Ask()

    @listing("GET /v1/reconciliation/files", Json)
    def files(
        self,
        *,
        source: str | None = None,
        status: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Ask:
        """Files that came."""
        return Ask(query=given(source=source, status=status, limit=limit, cursor=cursor))

    @endpoint("POST /v1/reconciliation/files", Json, repeats=True)
    def bring_file(self, source: str, name: str, content: bytes) -> Ask:
        """Store a file; the same content again is the same file."""
        headers = {"Content-Type": "application/octet-stream"}
        return Ask(query=given(source=source, name=name), body=content, headers=headers)

    @endpoint("GET /v1/reconciliation/files/{file_id}", Json)
    def file(self, file_id: str) -> Ask:
        """One file."""
        return Ask((file_id,))

    @endpoint("GET /v1/reconciliation/lines/{line_id}", Json)
    def line(self, line_id: str) -> Ask:
        """One line of a file."""
        return Ask((line_id,))

    @listing("GET /v1/reconciliation/runs", Json)
    def runs(self, *, rules: str | None = None, limit: int | None = None, cursor: str | None = None) -> Ask:
        """Runs, the latest first."""
        return Ask(query=given(rules=rules, limit=limit, cursor=cursor))

    @endpoint("POST /v1/reconciliation/runs", Json)
    def start_run(
        self, rules: str, *, cut_off: str | None = None, first_day: str | None = None, last_day: str | None = None
    ) -> Ask:
        """Compare the ledger with files by a rule set in YAML."""
        return Ask(body=given(rules=rules, cut_off=cut_off, first_day=first_day, last_day=last_day))

    @endpoint("GET /v1/reconciliation/runs/{run_id}", Json)
    def run(self, run_id: str) -> Ask:
        """One run."""
        return Ask((run_id,))

    @listing("GET /v1/reconciliation/runs/{run_id}/matches", Json)
    def matches(self, run_id: str, *, limit: int | None = None, cursor: str | None = None) -> Ask:
        """What a run has matched."""
        return Ask((run_id,), given(limit=limit, cursor=cursor))

    @endpoint("GET /v1/reconciliation/runs/{run_id}/report", bytes)
    def report(self, run_id: str, format: ReportFormat) -> Ask:
        """The report of a run as a file."""
        return Ask((run_id,), given(format=format), headers={"Accept": "*/*"})

    @endpoint("GET /v1/reconciliation/sign-offs", Json)
    def sign_offs(self) -> Ask:
        """Signatures, the newest first."""
        return Ask()

    @endpoint("POST /v1/reconciliation/sign-offs", Json)
    def sign(self, run: str, *, note: str | None = None) -> Ask:
        """Sign a run."""
        return Ask(body=given(run=run, note=note))

    @endpoint("POST /v1/reconciliation/sign-offs/{sign_off_id}/reopen", Json)
    def reopen(self, sign_off_id: str, because: str) -> Ask:
        """Take a signature back."""
        return Ask((sign_off_id,), body=given(because=because))

    @listing("GET /v1/reconciliation/internal/findings", Json)
    def internal_findings(
        self,
        *,
        type: str | None = None,
        severity: str | None = None,
        repair: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Ask:
        """Where our own services and the providers disagree, the largest first."""
        return Ask(query=given(type=type, severity=severity, repair=repair, limit=limit, cursor=cursor))

    @endpoint("GET /v1/reconciliation/internal/findings/{finding_id}", Json)
    def internal_finding(self, finding_id: str) -> Ask:
        """One disagreement, with what would put it right."""
        return Ask((finding_id,))

    @endpoint("POST /v1/reconciliation/internal/runs", Json)
    def run_internally(self, *, days: int | None = None, ask_max: int | None = None) -> Ask:
        """Compare what has changed within so many days; 0 is everything. At most `ask_max` providers are asked."""
        return Ask(body=given(days=days, ask_max=ask_max))

    @endpoint("POST /v1/reconciliation/internal/repairs", Json, repeats=True)
    def repair(self, findings: Sequence[str], *, is_dry_run: bool | None = None) -> Ask:
        """Ask providers again, or propose journals. A second time does nothing more."""
        return Ask(body=given(findings=list(findings), is_dry_run=is_dry_run))


class Breaks(Resource[C]):
    """`client.breaks`: what does not tie, and what is done about it."""

    @listing("GET /v1/reconciliation/breaks", Json)
    def list(
        self,
        *,
        rules: str | None = None,
        type: str | None = None,
        status: str | None = None,
        owner: str | None = None,
        currency: str | None = None,
        age: str | None = None,
        after_sign_off: bool | None = None,
        order: Literal["value", "age"] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Ask:
        """Breaks, the greatest or the oldest first. `age` in business days, such as `3-7`."""
        query = given(
            rules=rules,
            type=type,
            status=status,
            owner=owner,
            currency=currency,
            age=age,
            after_sign_off=after_sign_off,
            order=order,
            limit=limit,
            cursor=cursor,
        )
        return Ask(query=query)

    @endpoint("GET /v1/reconciliation/breaks/{break_id}", Json)
    def get(self, break_id: str) -> Ask:
        """One break with its history."""
        return Ask((break_id,))

    @endpoint("POST /v1/reconciliation/breaks/{break_id}/steps", Json)
    def step(self, break_id: str, action: str, because: str, *, owner: str | None = None) -> Ask:
        """`assign` (to an owner), `comment`, `approve`, `reject`, `withdraw`, `post`, `reopen`."""
        return Ask((break_id,), body=given(action=action, because=because, owner=owner))

    @endpoint("POST /v1/reconciliation/breaks/{break_id}/adjustments", Json)
    def propose(
        self,
        break_id: str,
        kind: str,
        reason_code: str,
        because: str,
        *,
        legs: Sequence[Mapping[str, Any]] | None = None,
    ) -> Ask:
        """A journal that balances (`adjust`, `write_off`), or an explanation without one (`explain`)."""
        posted = [given(**leg) for leg in legs] if legs is not None else None
        return Ask((break_id,), body=given(kind=kind, reason_code=reason_code, because=because, legs=posted))

    @endpoint("POST /v1/reconciliation/breaks/{break_id}/attachments", Json)
    def attach(self, break_id: str, name: str, media_type: str, content_base64: str, because: str) -> Ask:
        """A document of at most 1 MiB."""
        body = given(name=name, media_type=media_type, content_base64=content_base64, because=because)
        return Ask((break_id,), body=body)

    @endpoint("GET /v1/reconciliation/breaks/{break_id}/attachments/{attachment_id}", bytes)
    def attachment(self, break_id: str, attachment_id: str) -> Ask:
        """One document."""
        return Ask((break_id, attachment_id), headers={"Accept": "*/*"})

    @endpoint("GET /v1/reconciliation/adjustments", Json)
    def waiting(self) -> Ask:
        """Adjustments that wait for a second person, the oldest first."""
        return Ask()
