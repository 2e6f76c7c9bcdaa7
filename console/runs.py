"""Runs: what ties and what does not, by account and currency, their breaks, matches and reports, and the signature."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Response
from psycopg import Connection

from console.http.faults import Refused, not_found
from console.http.forms import OwnFields
from console.http.places import NO_NUL, id_of, place_of, place_text
from console.http.visits import ROOT, Visit, Visitor
from console.pages import go_to, page
from reconciliation.breaks.ageing import BUCKETS, bucket_of
from reconciliation.breaks.reads import LIST_MAX
from reconciliation.runs import reads, signing
from reconciliation.runs.run import RUN

router = APIRouter()

RUNS_SHOWN: Final = 50
MATCHES_SHOWN: Final = 200
BREAKS_SHOWN: Final = 50
"""Of a run on its own page, the largest; the next page has all of them."""

Rules = Annotated[str, Query(max_length=100, pattern=NO_NUL)]


@router.get("/runs")
async def get_runs(visit: Visitor, rules: Rules = "", after: str = "") -> Response:
    """The newest first."""
    place = place_of(after, datetime) if after else None

    def read(connection: Connection) -> dict[str, Any]:
        found = reads.page_of_runs(connection, RUNS_SHOWN + 1, rules, place)  # type: ignore[arg-type]
        shown = found[:RUNS_SHOWN]
        signatures = signing.sign_offs_of(connection, [run.run_id for run in shown])
        signed = {one.run_id: one for one in signatures if one.reopened_at is None}
        more = place_text(shown[-1].run_at, shown[-1].run_id) if len(found) > RUNS_SHOWN else ""
        return {"runs": shown, "signed": signed, "rules": rules, "more": more}

    return await page(visit, "runs.html", read)


@router.get("/runs/{run_id}")
async def get_run(visit: Visitor, run_id: str) -> Response:
    """Header, tie-out, match rate, the largest breaks, ageing, files and signatures."""
    return await run_page(visit, run_id)


async def run_page(visit: Visit, run_id: str, refused: Refused | None = None, note: str = "") -> Response:
    """With what was said against a signature, where something was."""
    id_ = id_of(RUN, run_id, "run")

    def read(connection: Connection) -> dict[str, Any]:
        return {
            "run": _run(connection, run_id),
            "files": reads.files_of(connection, id_),
            "passes_of_run": reads.passes_of(connection, id_),
            "largest": list(reads.breaks_of(connection, id_, BREAKS_SHOWN)),
            "ageing": ageing_of(reads.ages_of(connection, id_)),
            "buckets": BUCKETS,
            "signatures": signing.sign_offs_of(connection, [id_]),
            "refused": refused,
            "note": note,
        }

    return await page(visit, "run.html", read, refused.status if refused is not None else 200)


@router.get("/runs/{run_id}/breaks")
async def get_breaks_of_run(visit: Visitor, run_id: str) -> Response:
    """As the run found them, the largest first, and how each stands today; the report has more than LIST_MAX."""

    def read(connection: Connection) -> dict[str, Any]:
        run = _run(connection, run_id)
        return {"run": run, "largest": reads.breaks_of(connection, run.run_id, LIST_MAX)}

    return await page(visit, "run_breaks.html", read)


@router.get("/runs/{run_id}/matches")
async def get_matches(visit: Visitor, run_id: str, after: Annotated[int, Query(ge=-1)] = -1) -> Response:
    """Each with the pass that found it and why."""

    def read(connection: Connection) -> dict[str, Any]:
        run = _run(connection, run_id)
        found = reads.page_of_matches(connection, run.run_id, MATCHES_SHOWN + 1, after)
        shown = found[:MATCHES_SHOWN]
        more = str(shown[-1].number) if len(found) > MATCHES_SHOWN else ""
        return {"run": run, "matches": shown, "more": more}

    return await page(visit, "matches.html", read)


@router.get("/runs/{run_id}/report")
async def get_report(visit: Visitor, run_id: str, format: Literal["csv", "xlsx", "pdf"] = "xlsx") -> Response:
    """The file that `millrace recon report` writes."""
    id_of(RUN, run_id, "run")
    answered = await visit.api("GET", f"/reconciliation/runs/{run_id}/report?format={format}")
    headers = {"content-disposition": f'attachment; filename="{run_id}.{format}"'}
    return Response(answered.content, media_type=answered.media_type, headers=headers)


@router.post("/runs/{run_id}/sign")
async def post_sign(visit: Visitor, fields: OwnFields, run_id: str) -> Response:
    """The caller's name under the result; its days are locked."""
    note = fields.get("note", "")
    try:
        if visit.caller.approves_with_code:
            await visit.give_code(fields.get("code", "").strip())
        await visit.api("POST", "/reconciliation/sign-offs", {"run": run_id, "note": note})
    except Refused as refused:
        return await run_page(visit, run_id, refused, note)
    return go_to(f"{ROOT}/runs/{run_id}")


def _run(connection: Connection, run_id: str) -> reads.Run:
    run = reads.find_run(connection, id_of(RUN, run_id, "run"))
    if run is None:
        raise not_found("run")
    return run


def ageing_of(ages: Sequence[reads.Ages]) -> list[dict[str, Any]]:
    """Count and value by type and currency; the counts by age, too."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    values: Counter[tuple[str, str]] = Counter()
    for one in ages:
        key = one.type, one.currency
        counts.setdefault(key, Counter())[bucket_of(one.age_days).name] += one.breaks
        values[key] += one.value_minor
    return [
        {"type": key[0], "currency": key[1], "count": ages.total(), "value_minor": values[key], "ages": ages}
        for key, ages in sorted(counts.items())
    ]
