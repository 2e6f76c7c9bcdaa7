"""The command `millrace`. Each sub-command stands in a module of its own and is imported when it runs (--help: 0.2 s).

Exit codes: 0 done, 1 failed (the message says what to do), 2 wrong usage, 3 nothing runs, 4 something keeps crashing,
5 a payment may or may not have been taken.
"""

from pathlib import Path
from typing import Annotated

import typer

from millrace.archive.app import app as archive
from millrace.audit.app import ReadArchive
from millrace.audit.app import app as audit
from millrace.identity.app import clients, keys, users
from millrace.personal_data.app import app as personal_data
from millrace.quarantine.app import app as quarantine
from millrace.reconciliation.app import app as reconciliation
from millrace.remote import app as remote
from millrace.rules.app import app as rules
from millrace.schedules.app import app as schedules
from millrace.screening.app import app as screening
from millrace.statements.app import app as statements
from millrace.statements.app import files as statement_files

EXIT_FAILED, EXIT_USAGE, EXIT_NOT_RUNNING, EXIT_ALARM, EXIT_UNKNOWN = 1, 2, 3, 4, 5

app = typer.Typer(
    name="millrace",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="An exactly-once payment pipeline on Kafka: HTTP in, double-entry ledger out.",
    epilog="Exit codes: 0 done; 1 failed, the message says what to do; 2 wrong usage; 3 nothing runs here, or answers;"
    " 4 runs, but a service keeps crashing; 5 a payment may have been taken, the message says how to find out.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def up(
    brokers: Annotated[int, typer.Option(min=1, max=5, help="3 gives a replicated cluster.")] = 1,
    secure: Annotated[bool, typer.Option("--secure", help="TLS, SASL/SCRAM and a right for each stage.")] = False,
    gateway: Annotated[bool, typer.Option("--gateway", help="nginx in front of the API, with TLS.")] = False,
    only: Annotated[str, typer.Option(help="`infrastructure`: Kafka and Postgres without the pipeline.")] = "",
    as_json: AsJson = False,
) -> None:
    """Start Kafka, Postgres and the pipeline in the background; return when all are ready."""
    if only not in {"", "infrastructure"}:
        raise typer.BadParameter("the only choice is `infrastructure`", param_hint="--only")
    from millrace.commands.up import run

    run(brokers=brokers, pipeline=not only, secure=secure, gateway=gateway, as_json=as_json)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show every process, its restarts and the addresses. Exits 3 when nothing runs, 4 when one keeps crashing."""
    from millrace.commands.status import run

    run(as_json=as_json)


@app.command()
def down(
    wipe: Annotated[bool, typer.Option("--wipe", help="Then delete all records, books and logs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Stop everything in order. Nothing is lost: `millrace up` continues where it was."""
    from millrace.commands.down import run

    run(wipe=wipe, as_json=as_json)


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="A service, as `millrace status` names it.")],
    lines: Annotated[int, typer.Option("-n", "--lines", min=1, help="How many of the last lines.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Print the end of a process's log."""
    from millrace.commands.logs import run

    run(name, lines=lines, as_json=as_json)


@app.command()
def kill(
    name: Annotated[str, typer.Argument(help="A service, as `millrace status` names it.")],
    as_json: AsJson = False,
) -> None:
    """Kill -9 one process, as a crash would; the supervisor starts it again."""
    from millrace.commands.kill import run

    run(name, as_json=as_json)


@app.command()
def demo(
    leave: Annotated[bool, typer.Option("--exit", help="Exit after the summary instead of staying up.")] = False,
    crash: Annotated[bool, typer.Option("--crash", help="Kill -9 every part once during the load.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Push 29,961 real payments through the whole pipeline and prove the books."""
    from millrace.demo.run import run

    run(stay=not leave, crash=crash, json_file=json_file)


@app.command()
def replay(
    to: Annotated[
        str | None,
        typer.Option(help="A time (2026-11-21T20:15:00Z) or ledger offsets (0:1200,1:900 or 0:1200); default newest."),
    ] = None,
    account: Annotated[str | None, typer.Option(help="Also print the balance of this account (acc_…).")] = None,
    decide: Annotated[bool, typer.Option("--decide", help="Instead make every decision again.")] = False,
    rules: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Instead try this rule set (YAML) on all past payments."),
    ] = None,
    tier: Annotated[str, typer.Option(help="With --rules: the KYC tier that every account is taken for.")] = "verified",
    folder: ReadArchive = None,
    as_json: AsJson = False,
) -> None:
    """Rebuild all balances at a point of the ledger and compare with Postgres. Exits 1 on a difference."""
    from millrace.replay.command import run, run_rules

    if rules is not None:
        run_rules(rules, tier, whole=to is None and account is None and not decide, archive=folder, as_json=as_json)
        return
    run(to=to, account=account, decide=decide, archive=folder, as_json=as_json)


@app.command()
def drift(
    once: Annotated[bool, typer.Option("--once", help="One look; exits 1 on drift.")] = False,
    every_s: Annotated[int, typer.Option("--every", min=1, help="Seconds between looks.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Compare the balances in Postgres with the ledger, again and again (`millrace watchdog` does so all the time)."""
    from millrace.replay.command import run_drift

    run_drift(once=once, every_s=every_s, as_json=as_json)


@app.command()
def token(
    subject: Annotated[str, typer.Argument(help="Who the token speaks for: a machine or an operator.")] = "operator",
    user: Annotated[str | None, typer.Option(help="Instead a user by name; made if there is none.")] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="Repeatable, or by commas. Default: all; of a user, those of the roles.")
    ] = None,
    ttl_s: Annotated[int, typer.Option(min=1, max=86_400, help="Life in seconds.")] = 3_600,
) -> None:
    """Print a bearer token, signed with this installation's key."""
    from millrace.identity.command import run_token

    run_token(subject, user, scope or [], ttl_s)


@app.command()
def routes(as_json: AsJson = False) -> None:
    """List every route of the HTTP interface, with its scope and the source documents that ask for it."""
    from millrace.commands.routes import run

    run(as_json=as_json)


@app.command()
def topics() -> None:
    """Make what is missing of the topic catalogue."""
    from millrace.commands.services import run_topics

    run_topics()


@app.command()
def worker() -> None:
    """Run one worker slot of the deciding stage in the foreground."""
    from millrace.commands.services import run_worker

    run_worker()


@app.command()
def sink() -> None:
    """Run the sink in the foreground."""
    from millrace.commands.services import run_sink

    run_sink()


@app.command()
def quarantine_sink() -> None:
    """Run the sink of what was set aside in the foreground."""
    from millrace.commands.services import run_quarantine_sink

    run_quarantine_sink()


@app.command()
def events_sink() -> None:
    """Run the sink of public events in the foreground: what webhooks tell and `GET /v1/events` shows."""
    from millrace.commands.services import run_events_sink

    run_events_sink()


@app.command()
def webhooks() -> None:
    """Send webhooks in the foreground; several may run at once."""
    from millrace.commands.services import run_webhooks

    run_webhooks()


@app.command()
def notifications() -> None:
    """Tell users what happened, in the foreground (`millrace up` does where there is a channel); several may run."""
    from millrace.commands.services import run_notifications

    run_notifications()


@app.command()
def connectors() -> None:
    """Run the connectors to payment providers in the foreground (`millrace up` does where a provider has a key)."""
    from millrace.commands.services import run_connectors

    run_connectors()


@app.command()
def publisher() -> None:
    """Tell the world what the ledger says, one event per change, in the foreground."""
    from millrace.commands.services import run_publisher

    run_publisher()


@app.command()
def ticker() -> None:
    """Tell every shard the time, once a second, in the foreground: holds expire by it."""
    from millrace.commands.services import run_ticker

    run_ticker()


sandbox = typer.Typer(no_args_is_help=True, help="Payment providers to try things with: they charge nobody.")
app.add_typer(sandbox, name="sandbox")


@sandbox.command()
def stripe(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes any free one.")] = 12_111,
    webhook_url: Annotated[str, typer.Option(help="Where events go; STRIPE_WEBHOOK_SECRET signs them.")] = "",
    host: Annotated[str, typer.Option(help="Where it listens: by default for this machine alone.")] = "127.0.0.1",
) -> None:
    """Run a Stripe-shaped provider in the foreground; everything it has answered stays in this installation's home."""
    from millrace.commands.services import run_stripe_sandbox

    run_stripe_sandbox(host, port, webhook_url)


@app.command()
def watchdog() -> None:
    """Run the watch in the foreground: alarms for drift, hanging transactions and readers that stand still."""
    from millrace.commands.services import run_watch

    run_watch()


transactions = typer.Typer(no_args_is_help=True, help="Kafka transactions of this installation.")
app.add_typer(transactions, name="transactions")


@transactions.command()
def hanging(
    finish: Annotated[bool, typer.Option("--finish", help="End them as their coordinator decided.")] = False,
    as_json: AsJson = False,
) -> None:
    """List transactions that nothing will ever end. Exits 4 when there is one."""
    from millrace.commands.transactions import run

    run(finish=finish, as_json=as_json)


for name, commands in {
    "accounts": remote.accounts,
    "archive": archive,
    "audit": audit,
    "clients": clients,
    "keys": keys,
    "payments": remote.payments,
    "personal-data": personal_data,
    "quarantine": quarantine,
    "recon": reconciliation,
    "rules": rules,
    "screening": screening,
    "statements": statement_files,
    "users": users,
}.items():
    app.add_typer(commands, name=name)
for commands in (schedules, statements, remote.commands):
    app.add_typer(commands)


@app.command()
def api() -> None:
    """Run one API process in the foreground."""
    from millrace.commands.services import run_api

    run_api()


@app.command()
def gateway(
    config: Annotated[bool, typer.Option("--config", help="Instead print nginx's configuration.")] = False,
) -> None:
    """Run nginx in front of the API processes in the foreground (`millrace up --gateway` does)."""
    from millrace.gateway.command import run, write_configuration

    write_configuration() if config else run()


def _run() -> None:
    """Who is not let in, or may not do this, is told so in a sentence."""
    try:
        app()
    except Exception as error:
        from runtime.kafka_client import AccessRefused

        if not isinstance(error, AccessRefused):
            raise
        typer.echo(f"millrace: {error}", err=True)
        raise SystemExit(EXIT_FAILED) from None


def main() -> None:
    """Entry point of the console script. A setting that is refused is wrong usage, so it is a sentence too."""
    try:
        _run()
    except ValueError as error:
        from pydantic import ValidationError

        from runtime.settings import Settings, setting_faults

        if not isinstance(error, ValidationError) or error.title != Settings.__name__:
            raise
        for fault in setting_faults(error):
            typer.echo(f"millrace: {fault}", err=True)
        raise SystemExit(EXIT_USAGE) from None
