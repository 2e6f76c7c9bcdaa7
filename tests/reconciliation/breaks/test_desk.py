"""Goal: what people do about a break is done once, by those who may, and is told for ever; money moves by one journal.

Method: breaks that a run has found, real Postgres; the ledger answers by rows as the sink writes them.
"""

from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from psycopg import Connection

from payments.identifiers import format_id, system_account
from payments.items.details import Posting
from payments.postings import SystemAccount
from reconciliation.breaks import desk, posting, reads
from reconciliation.breaks.desk import Deed, File, Proposal
from reconciliation.breaks.machine import Kind, Refusal, Status
from reconciliation.breaks.reads import Wanted
from reconciliation.runs import signing
from reconciliation.runs.rules import read_rules
from reconciliation.runs.signing import SignOff, SignRefusal
from tests.reconciliation.conftest import Bring
from tests.reconciliation.ledger import RULES, charge, report
from tests.reconciliation.runs.test_runs import FRIDAY, MONDAY, TUESDAY, WEDNESDAY, living, run_on

FEES, CLEARING = (system_account(code, "EUR") for code in (SystemAccount.FEES, SystemAccount.STRIPE_CLEARING))
LEGS = (Posting(FEES, -1_00, "EUR"), Posting(CLEARING, 1_00, "EUR"))
ADJUST = Proposal(Kind.ADJUST, "PROVIDER_FEE", LEGS)
ANNA, BERT = Deed("anna", "the provider kept a fee"), Deed("bert", "seen the invoice")
NIL = UUID(int=0)


@pytest.fixture
def broken(books: Connection, bring: Bring) -> UUID:
    """The books have 10.00, the provider says 9.00."""
    charge(books, 1, 10_00, MONDAY)
    bring("stripe.csv", report(("order-1", "9.00", MONDAY, "charge")), "stripe")
    found, _ = run_on(books, TUESDAY)
    return found.breaks[0].break_id


def trail(books: Connection, id_: UUID) -> list[tuple[str, str, str]]:
    return [(event.by, event.action, event.after) for event in reads.events_of(books, id_)]


def posted(books: Connection, journal: UUID, code: str) -> None:
    """As the sink writes an adjustment of two legs."""
    books.execute(
        "INSERT INTO journal_entries VALUES (%s, %s, %s, %s, 100, 'EUR', %s, 0, 99, 0, 0, 0, 0, 0)",
        (journal, journal, UUID(bytes=FEES), UUID(bytes=CLEARING), f"{TUESDAY} 12:00+00"),
    )
    books.execute("INSERT INTO causes VALUES (0, 99, 0, %s, 26, 5, %s, %s, now())", (journal, journal, code))


def test_from_the_break_to_the_journal_and_no_run_finds_it_again(books: Connection, broken: UUID) -> None:
    assert desk.assign(books, broken, "anna", Deed("lead")) is Status.ASSIGNED
    assert desk.propose(books, broken, ADJUST, ANNA) is Status.PROPOSED
    assert desk.approve(books, broken, ANNA, 4) is Refusal.FOUR_EYES
    assert desk.approve(books, broken, BERT, 4) is Status.APPROVED
    assert desk.approve(books, broken, BERT, 4) is Refusal.STATUS
    [to_post] = posting.to_post(books)
    code = format_id("brk", broken.bytes)
    assert (to_post.asked.legs, to_post.asked.code) == (LEGS, code)
    assert posting.settle(books) == 0, "the ledger has said nothing yet"
    posted(books, to_post.journal_id, code)
    assert (posting.settle(books), posting.settle(books)) == (1, 0)
    assert living(books)[0][1] == "resolved"
    again, changes = run_on(books, FRIDAY)
    assert changes.reopened == changes.opened == 0
    assert [one.break_id for one in again.breaks] == [broken], (
        "the file and the payment still differ: the report says so"
    )
    ledger = next(tie for tie in again.ties if tie.side == "internal")
    assert (ledger.movements_minor, ledger.adjusted_minor, ledger.closing_minor, ledger.unexplained_minor) == (
        *(10_00, -1_00, 9_00, 0),
    )
    assert trail(books, broken)[1:] == [
        ("lead", "assign", "assigned"),
        ("anna", "propose", "proposed"),
        ("bert", "approve", "approved"),
        ("ledger", "post", "resolved"),
    ]
    [proposal] = reads.proposals_of(books, broken)
    assert (proposal.decided_by, proposal.outcome, proposal.journal_id) == ("bert", "posted", to_post.journal_id)


def test_a_journal_that_the_ledger_refuses_brings_the_break_back(books: Connection, broken: UUID) -> None:
    desk.propose(books, broken, ADJUST, ANNA)
    desk.approve(books, broken, BERT, 4)
    [to_post] = posting.to_post(books)
    books.execute(
        "INSERT INTO account_events VALUES (%s, %s, 1, 3, 0, 'EUR', now(), 0, 0, 0, 0, 0)", (to_post.journal_id, NIL)
    )
    assert posting.settle(books) == 1
    assert living(books)[0][1] == "open"
    assert desk.propose(books, broken, ADJUST, ANNA) is Status.PROPOSED


def test_no_legs_that_do_not_balance_no_explanation_with_legs_no_person_called_rules(
    books: Connection, broken: UUID
) -> None:
    one_sided = ADJUST._replace(legs=LEGS[:1])
    for proposal in (one_sided, ADJUST._replace(legs=()), Proposal(Kind.EXPLAIN, "TIMING", LEGS)):
        assert desk.propose(books, broken, proposal, ANNA) is Refusal.LEGS
    assert desk.propose(books, broken, ADJUST, Deed("rules:x", "why")) is Refusal.LEGS
    assert desk.propose(books, UUID(int=1), ADJUST, ANNA) is Refusal.UNKNOWN
    assert len(trail(books, broken)) == 1


def test_a_run_that_finds_another_amount_voids_the_proposal(books: Connection, bring: Bring, broken: UUID) -> None:
    desk.propose(books, broken, ADJUST, ANNA)
    charge(books, 2, 50, MONDAY, order="order-1")
    run_on(books, FRIDAY)
    assert living(books)[0][1:3] == ("open", 1_50)
    assert desk.approve(books, broken, BERT, 4) is Refusal.STATUS
    assert [one.decision for one in reads.proposals_of(books, broken)] == ["withdrawn"]


def test_comments_and_documents_of_bounded_size(books: Connection, broken: UUID) -> None:
    assert desk.comment(books, broken, ANNA) is Status.OPEN
    document = File("invoice.pdf", "application/pdf", b"%PDF")
    assert (
        desk.attach(books, broken, document._replace(content=bytes(desk.ATTACHMENT_BYTES_MAX + 1)), ANNA)
        is Refusal.TOO_LARGE
    )
    answers = [desk.attach(books, broken, document, ANNA) for _ in range(desk.ATTACHMENTS_MAX + 1)]
    assert answers[-2:] == [Status.OPEN, Refusal.TOO_MANY]
    first = reads.attachments_of(books, broken)[0]
    assert reads.content_of(books, broken, first.attachment_id) == document


def test_rules_adjust_by_themselves_within_their_limits_and_the_trail_says_so(books: Connection, bring: Bring) -> None:
    charge(books, 1, 10_00, MONDAY)
    bring("stripe.csv", report(("order-1", "9.99", MONDAY, "charge")), "stripe")
    limits = "{type: AMOUNT_MISMATCH, currency: EUR, up_to_minor: 1, debit: losses, credit: stripe_clearing}"
    read = read_rules(f"{RULES}\nbreaks: {{run_limit_minor: 10, automatic: [{limits}]}}")
    found, changes = run_on(books, TUESDAY, read)
    assert changes.adjusted == 1
    assert trail(books, found.breaks[0].break_id)[-1] == ("rules:stripe-daily@3", "approve", "approved")
    [to_post] = posting.to_post(books)
    assert [leg.amount_minor for leg in to_post.asked.legs] == [-1, 1]
    assert run_on(books, TUESDAY, read)[1].adjusted == 0


def test_a_signed_period_is_locked_and_tells_what_came_afterwards(
    books: Connection, bring: Bring, broken: UUID
) -> None:
    result, _ = run_on(books, TUESDAY)
    desk.propose(books, broken, ADJUST, ANNA)
    assert signing.sign(books, result.run_id, "", "carla") is SignRefusal.WAITING
    desk.withdraw(books, broken, ANNA)
    assert signing.sign(books, UUID(int=1), "", "carla") is SignRefusal.UNKNOWN
    signed = signing.sign(books, result.run_id, "one open", "carla")
    assert isinstance(signed, SignOff)
    assert (signed.result_hash, signed.live_breaks) == (result.result_hash.hex(), 1)
    assert signing.sign(books, result.run_id, "", "carla") is SignRefusal.OVERLAPS
    charge(books, 7, 3_00, MONDAY)
    run_on(books, FRIDAY)
    [late] = reads.page_of_breaks(books, Wanted(after_sign_off=True), 10)
    assert late.difference_minor == 3_00
    [shown] = signing.sign_offs(books, 10)
    assert (shown.changed_since, shown.reopened_at) == (1, None)
    next_days, _ = run_on(books, FRIDAY)
    more = signing.sign(books, next_days.run_id, "", "carla")
    assert isinstance(more, SignOff)
    assert (str(more.first_day), str(more.last_day)) == (WEDNESDAY, FRIDAY), (
        "what is signed already stays under its hash"
    )
    signing.reopen(books, more.sign_off_id, "a mistake", "carla")
    reopened = signing.reopen(books, signed.sign_off_id, "a charge came late", "carla")
    assert isinstance(reopened, SignOff)
    assert reopened.reopened_because == "a charge came late"
    assert signing.reopen(books, signed.sign_off_id, "again", "carla") is SignRefusal.SIGN_OFF_UNKNOWN
    assert isinstance(signing.sign(books, result.run_id, "", "carla"), SignOff), "may be signed again"


@pytest.mark.parametrize("order", ["value", "age"])
def test_pages_are_read_from_one_index_and_lose_nothing(books: Connection, broken: UUID, order: str) -> None:
    books.execute(
        """INSERT INTO recon_breaks (break_id, rule_set, type, status, is_live, reason, keys, difference_minor,
            currency, day, due_on, internal, external, opened_run, seen_run)
        SELECT gen_random_uuid(), rule_set, type, status, n % 10 > 0, reason, keys, n % 97 - 40, currency,
            day + n % 50, due_on, internal, external, opened_run, seen_run
        FROM recon_breaks CROSS JOIN generate_series(1, 5000) AS n"""
    )
    books.execute("ANALYZE recon_breaks")
    wanted, found = Wanted(order), []
    after: tuple[int | date, UUID] | None = None
    while page := reads.page_of_breaks(books, wanted, 1_000, after):
        found += page
        after = (abs(page[-1].difference_minor) if order == "value" else page[-1].day), page[-1].break_id
    assert len({one.break_id for one in found}) == len(found) == 4_501
    plan = "\n".join(
        row[0]
        for row in books.execute(
            f"EXPLAIN {reads.page_query(wanted, is_first=False)}".encode(),
            {"at": 20 if order == "value" else datetime.now(UTC).date(), "after": NIL, "rows": 100},
        )
    )
    assert f"recon_breaks_live_by_{order}" in plan
    assert "Sort" not in plan
