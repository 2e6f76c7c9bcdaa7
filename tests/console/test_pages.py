"""Goal: finance does its day in a browser without JavaScript, sees the tables' figures, and does only what it may.

Method: the app in memory with its console, real Postgres; one partition in memory posts what is approved. Every page is
read as strictly as HTML has it.
"""

from collections.abc import Callable

import httpx
from psycopg import Connection

from ingest_api.identity.roles import UserRole
from reconciliation.store.importing import Imported
from tests.console.browser import HOST, Browser
from tests.console.conftest import BERT, CARL, FATIMA, HOSTILE, Office
from tests.ingest_api.identity.people import PASSWORD, Town
from tests.ingest_api.owners.world import World

ADJUST = {
    "kind": "adjust",
    "reason_code": "provider fee",
    "because": "=HYPERLINK(1)",
    **{"account_0": "fees", "side_0": "debit", "amount_0": "1.00", "currency_0": "EUR"},
    **{"account_1": "stripe_clearing", "side_1": "credit", "amount_1": "1.00", "currency_1": "EUR"},
}


async def test_a_run_is_shown_with_its_figures_and_files(office: Office, broken: str) -> None:
    browser, runs = await office.at_work(FATIMA, "fatima")
    assert (runs.path, runs.status) == ("/console/runs", 200)
    [[when, *shown]] = runs.rows("The newest first")
    assert shown == [
        "stripe-daily, revision 3",
        "until 2026-11-17",
        "2026-11-17 20:00:00 UTC",
        "2",
        "2",
        "1",
        "1",
        "1.00 EUR",
        "",
    ]
    run = await browser.get(runs.link(when))
    assert broken in run.text
    [_, ledger] = run.rows("opening + movements + other = closing")
    assert ledger[:9] == ["ledger", "stripe_clearing", "EUR", "2", "0.00", "1,035.50", "0.00", "1,035.50", "0.00"]
    [both] = run.rows("What is matched, and the rest")
    assert both[:5] == ["EUR", "1,035.50", "1,034.50", "1.00", "1.00"]
    assert both[5:] == ["1 of 2", "1 of 2", "50.00 %", "2.46 %"]
    [[type_, currency, count, value, *_]] = run.rows("Counts by business days")
    assert (type_, currency, count, value) == ("AMOUNT_MISMATCH", "EUR", "1", "1.00")
    assert run.rows("What the run has read")[0][:3] == ["stripe.csv", "stripe", "stripe.payout_reconciliation"]
    matches = await browser.get(run.link("Its 1 matches"))
    [match] = matches.rows("Which lines belong together")
    assert (match[1], match[5]) == ("exact_id", "25.50")
    line = await browser.get(matches.link(match[-1]))
    assert "txn_order-2_25.50," in line.text
    assert len((await browser.get(run.link("Its 1 breaks"))).rows("As the run found them")) == 1
    for format_, start in (("CSV", b"Run"), ("XLSX", b"PK"), ("PDF", b"%PDF")):
        answer = await browser.http.get(run.link(format_))
        assert answer.content.removeprefix(b"\xef\xbb\xbf").startswith(start)
        assert answer.headers["content-disposition"].endswith(f'.{format_.lower()}"')


async def test_from_the_break_to_the_signature_by_two_people(office: Office, books: Connection, broken: str) -> None:
    browser, runs = await office.at_work(FATIMA, "fatima")
    breaks = await browser.get("/console/breaks?status=&type=AMOUNT_MISMATCH&age=&limit=500")
    [[id_, type_, difference, *_]] = breaks.rows("Difference")
    assert (type_, difference) == ("AMOUNT_MISMATCH", "1.00")
    books.execute("UPDATE recon_statements SET account = 'acct_1'")
    for account, count in (("acct_1", 1), ("acct_2", 0)):
        narrowed = await browser.get(f"/console/breaks?status=open&currency=EUR&order=age&account={account}")
        assert narrowed.text.count(id_) == count
    found = await browser.get(breaks.link(id_))
    assert found.rows("posted 2026-11-16")[0] == ["stripe_clearing", "1,010.00", "", "EUR"]
    [line] = found.rows("Lines, and how they were sent")
    assert (line[4], line[8].startswith(f"txn_{HOSTILE}_1009.00,")) == ("1,009.00", True)
    unbalanced = await browser.send(found, "/adjustments", ADJUST | {"amount_1": "2.00"})
    assert (unbalanced.status, "balance in every currency" in unbalanced.text) == (422, True)
    assert unbalanced.forms("/adjustments")[0].find(".//*[@name='amount_1']").get("value") == "2.00"  # type: ignore[union-attr]
    proposed = await browser.send(unbalanced, "/adjustments", ADJUST)
    assert (proposed.status, "You proposed it" in proposed.text) == (200, True)
    assert proposed.button("Approve") is None
    approve = {"action": "approve", "because": "seen the invoice"}
    own = await browser.send(proposed, "/steps", approve)
    assert (own.status, "Who proposes does not approve." in own.text) == (409, True)
    second, _ = await office.at_work(BERT, "bert")
    [[waiting, *_]] = (await second.get("/console/adjustments")).rows("What waits")
    resolved = await second.send(await second.get(f"/console/breaks/{waiting}"), "/steps", approve)
    assert "What was proposed" in resolved.text
    assert [row[2:5] for row in resolved.rows("Everything")][-2:] == [
        ["approve", "proposed", "approved"],
        ["post", "approved", "resolved"],
    ]
    run_path = runs.link(runs.rows("The newest first")[0][0])
    signed = await second.send(await second.get(run_path), "/sign", {"note": "fine"})
    assert "Signed by you" in signed.text
    assert signed.forms("/sign") == []
    locked = await browser.send(await browser.get(breaks.link(id_)), "/steps", {"action": "reopen", "because": "no"})
    assert (locked.status, "signature back first." in locked.text) == (409, True)
    signatures = await second.get("/console/sign-offs")
    assert broken in signatures.text
    again = await second.send(signatures, "/reopen", {"because": "corrected"})
    assert "Reopened by you" in again.text
    assert "Reopened after sign-off" in (await browser.get(run_path)).text


async def test_who_may_not_is_told_so_and_nothing_is_done(
    office: Office, world: World, books: Connection, broken: str
) -> None:
    stranger = office.browser()
    asked = await stranger.get("/console/breaks?order=age")
    assert (asked.path, asked.query["after"]) == ("/console/sign-in", ["/console/breaks?order=age"])
    wrong = await stranger.signs_in("fatima", "not this one!", at="/console/breaks")
    assert (wrong.status, "No user has this name, password and code." in wrong.text) == (401, True)
    await Town(world, stranger.http).settles(CARL, "carl", UserRole.CUSTOMER)
    customer = await stranger.signs_in("carl", PASSWORD, at="/console/breaks?order=age")
    assert (customer.status, customer.path) == (403, "/console/breaks")
    assert (await stranger.get("/console/runs")).status == 403
    elsewhere = await office.browser().signs_in("carl", PASSWORD, at="/console/sign-in?after=https://evil.test/console")
    assert elsewhere.answer.url.host == httpx.URL(HOST).host
    browser, _ = await office.at_work(FATIMA, "fatima")
    [[id_, *_]] = (await browser.get("/console/breaks")).rows("Difference")
    before = books.execute("SELECT count(*) FROM recon_break_events").fetchone()
    steps = f"/console/breaks/{id_}/steps"
    comment = {"action": "comment", "because": "from elsewhere"}
    for forged in ({}, {"form": "guessed"}, {"form": "ünknown"}):
        refused = await browser.post(steps, comment | forged)
        assert (refused.status, "The form is out of date" in refused.text) == (403, True)
    foreign = await browser.http.post(steps, data=comment, headers={"origin": "https://evil.test"})
    assert foreign.status_code == 403
    assert books.execute("SELECT count(*) FROM recon_break_events").fetchone() == before
    for unknown, status in (("/console/breaks/brk_1", 404), ("/console/nothing", 404), ("/console/breaks?age=5", 422)):
        assert (await browser.get(unknown)).status == status
    out = await browser.send(await browser.get("/console/runs"), "/sign-out", {})
    assert out.path == "/console/sign-in"
    assert (await browser.get("/console/runs")).path == "/console/sign-in"


async def test_only_on_the_machine_itself_a_cookie_goes_without_tls(office: Office) -> None:
    """Regression: over `http://127.0.0.1`, where `make up` sends people, Safari and plain clients kept no session."""
    http = office.browser().http
    for origin, name, is_secure in (
        (HOST, "__Host-millrace", True),
        ("http://127.0.0.1:8080", "millrace", False),
        ("http://payments.test", "__Host-millrace", True),
    ):
        answer = await http.get(f"{origin}/console/sign-in")
        cookie = answer.headers["set-cookie"]
        assert (cookie.partition("=")[0], "Secure" in cookie) == (name, is_secure)


async def test_what_files_say_is_shown_and_never_run(
    office: Office, broken: str, bring: Callable[[str, str], Imported]
) -> None:
    bring(f"{HOSTILE.replace('/', '')}.txt", "no statement at all")
    browser, _ = await office.at_work(FATIMA, "fatima")
    files = await browser.get("/console/files?status=quarantined&source=")
    [[name, _, _, status, reason, *_]] = files.rows("The newest first")
    assert (name, status) == (f"{HOSTILE.replace('/', '')}.txt", "quarantined")
    assert reason in (await browser.get(files.link(name))).text
    breaks = await browser.get("/console/breaks")
    found = await browser.get(breaks.link(breaks.rows("Difference")[0][0]))
    for page in (files, breaks, found):
        assert "alert(1)" in page.text
        assert [one.get("src", "").partition("?")[0] for one in page.tree.iter("script")] == [
            "/console/assets/htmx.min.js"
        ]
    head = found.answer.headers
    assert "script-src 'self';" in head["content-security-policy"]
    assert (head["cache-control"], head["x-content-type-options"]) == ("no-store", "nosniff")
    styles = await browser.http.get(
        next(one.get("href", "") for one in found.tree.iter("link") if one.get("rel") == "stylesheet")
    )
    assert (styles.status_code, styles.headers["content-type"]) == (200, "text/css; charset=utf-8")
    document = {"document": (f"{HOSTILE.replace('/', '')}.html", HOSTILE.encode(), "text/html")}
    attached = await browser.send(found, "/attachments", {"because": "an invoice"}, document)
    assert attached.status == 200, attached.text
    answer = await browser.http.get(attached.link(f"{HOSTILE.replace('/', '')}.html"))
    assert (answer.content, answer.headers["content-type"]) == (HOSTILE.encode(), "application/octet-stream")
    too_large = {"document": ("a.pdf", bytes(1_100_000), "application/pdf")}
    assert (await browser.send(found, "/attachments", {"because": "x"}, too_large)).status == 413


async def test_a_session_goes_on_and_approves_with_a_fresh_code(
    office: Office, world: World, books: Connection, broken: str
) -> None:
    """The access token has expired, and the second factor is of yesterday."""
    codes = await office.employs(FATIMA, "fatima")
    browser = office.browser()
    first = await browser.signs_in("fatima", PASSWORD)
    assert (first.status, "A code is needed" in first.text) == (401, True)
    runs = await browser.signs_in("fatima", PASSWORD, codes.pop())
    books.execute("UPDATE sessions SET second_factor_at = now() - interval '1 day'")
    _forget_access(browser)
    run = await browser.get(runs.link(runs.rows("The newest first")[0][0]))
    assert run.status == 200
    assert run.forms("/sign")[0].find(".//input[@name='code']") is not None
    wrong = await browser.send(run, "/sign", {"note": "mine", "code": "000000"})
    assert (wrong.status, "The code is wrong" in wrong.text) == (422, True)
    signed = await browser.send(wrong, "/sign", {"note": "mine", "code": codes.pop()})
    assert "Signed by you" in signed.text
    told = world.rows("SELECT actor, action FROM audit_entries WHERE action = 'reconciliation.sign'")
    assert len(told) == 1
    books.execute("UPDATE sessions SET ended_at = now(), end_reason = 'revoked'")
    _forget_access(browser)
    assert (await browser.get("/console/runs")).path == "/console/sign-in"


def _forget_access(browser: Browser) -> None:
    """As if its five minutes were over."""
    [cookie] = browser.http.cookies.jar
    form, refresh, _ = (cookie.value or "").split(".", 2)
    cookie.value = f"{form}.{refresh}."
