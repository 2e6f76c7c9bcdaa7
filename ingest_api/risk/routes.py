"""POST /risk: what limits and rules would say of a transfer now, decided where the payer is; nothing moves."""

import os
from typing import Final

from fastapi import APIRouter, Request, Response

from ingest_api.cases.reads import find_findings
from ingest_api.http.bodies import TransferBody, decoded, transfer_command
from ingest_api.http.call import Answer, Call
from ingest_api.http.openapi import describe
from ingest_api.http.resources import encode, rfc3339_of_us
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, respond
from ingest_api.identity.tokens import Scope
from ingest_api.instructions.asking import ask
from ingest_api.owners.rights import Action
from ingest_api.reads.settled import look_until
from ingest_api.risk.shown import RiskVerdict
from ingest_api.services import Services
from ingest_api.submission import Outcome
from ingest_api.transfers import checked, encoded_headers, known_of
from payments.movements.assessing import UNKNOWN
from payments.movements.instructions import AssessTransfer, Envelope
from payments.rejections import Reason

router = APIRouter(tags=["risk"])

_HELD: Final = {Reason.NONE: "allow", Reason.REVIEW_BY_RULE: "review"}


async def assess_transfer(services: Services, call: Call) -> Answer:
    """The verdict on an attempt."""
    principal = admit(services, call, Scope.PAYMENTS_WRITE, JSON_MEDIA, 1)
    body: TransferBody = decoded(TransferBody, await call.body(BODY_BYTES_MAX))
    key = f"advice {os.urandom(16).hex()}"  # nothing is remembered under it
    command = checked(transfer_command(body, key))
    attributes = UNKNOWN if body.risk is None else known_of(services, body.risk)
    await services.access.require(principal, command.payer, Action.MOVE_MONEY)
    asked = AssessTransfer(
        envelope=Envelope(key, attributes=attributes),
        payer=command.payer,
        payee=command.payee,
        amount_minor=command.amount_minor,
        currency=command.currency,
    )
    (outcome,), headers = await ask(services, call, [asked])
    said = await _said(services, outcome, is_analyst=Scope.CASES_READ in principal.scopes)
    return Answer(202 if said.verdict is None else 200, encode(said), encoded_headers(headers))


async def _said(services: Services, outcome: Outcome, *, is_analyst: bool) -> RiskVerdict:
    reply = outcome.reply
    if reply is None:
        return RiskVerdict()
    reason = reply.reason
    code = str(reason) if reason is not Reason.NONE else None
    verdict = RiskVerdict(_HELD.get(reason, "deny"), code, rfc3339_of_us(reply.decided_at_us))
    if is_analyst:
        verdict.findings = await look_until(
            outcome.deadline, lambda: find_findings(services.database, outcome.operation_id), lambda _: True
        )
    return verdict


_DESCRIBED = describe(
    "What limits and rules would say of a transfer",
    Scope.PAYMENTS_WRITE,
    RiskVerdict,
    body=TransferBody,
    statuses=(200, 202),
    key_needed=False,
)
del _DESCRIBED["openapi_extra"]["parameters"][0]  # the same question may have another answer


@router.post("/risk", **_DESCRIBED)
async def post_risk(request: Request) -> Response:
    """As it would be decided now, in turn with the account's payments. Nothing moves, and it is no attempt."""
    return await respond(request, assess_transfer)
