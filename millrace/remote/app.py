"""The sub-commands that call the API: `millrace accounts …`, `payments …`, `transfer`, `watch`, `load`.

Each is imported when it runs, as in millrace.cli.
"""

from pathlib import Path
from typing import Annotated

import typer

from millrace.remote.options import AsJson, Key, ProfileName, Url, Wait

commands = typer.Typer()
accounts = typer.Typer(no_args_is_help=True, help="Accounts over HTTP: open, look, pay in and out.")
payments = typer.Typer(no_args_is_help=True, help="Payments over HTTP: list, look, wait, give back.")

AccountId = Annotated[str, typer.Argument(help="acc_…", show_default=False)]
PaymentId = Annotated[str, typer.Argument(help="pay_…", show_default=False)]
AmountText = Annotated[str, typer.Argument(help="10.50", show_default=False)]
Currency = Annotated[str, typer.Argument(help="ISO 4217: EUR", show_default=False)]
Limit = Annotated[int, typer.Option("-n", "--lines", min=1, help="How many at most.")]
Description = Annotated[str | None, typer.Option(help="At most 140 characters.")]
Method = Annotated[str, typer.Option(help="cash, check, wire, payroll, …")]


@accounts.command("open")
def open_account(
    currency: Currency,
    type: Annotated[str | None, typer.Option(help="checking, savings, wallet or merchant.")] = None,
    overdraft_limit: Annotated[str | None, typer.Option(help="Needs a scope.")] = None,
    key: Key = None,
    url: Url = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Open an account."""
    from millrace.remote.session import session
    from millrace.remote.shown import show

    with session(url, profile, as_json=as_json) as client:
        opened = client.accounts.open(
            currency, type=type, overdraft_limit=overdraft_limit, idempotency_key=key, wait_s=30
        )
        show(opened, as_json=as_json)


@accounts.command("list")
def list_accounts(
    user: Annotated[str | None, typer.Option(help="usr_…")] = None,
    currency: Annotated[str | None, typer.Option()] = None,
    status: Annotated[str | None, typer.Option(help="open, frozen, closed, …")] = None,
    limit: Limit = 50,
    url: Url = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """A user's accounts; without --user your own."""
    from millrace.remote.session import session
    from millrace.remote.shown import show_list

    with session(url, profile, as_json=as_json) as client:
        found = client.accounts.list(user=user, currency=currency, status=status)
        show_list(found, ("id", "type", "currency", "status", "opened_at"), limit, as_json=as_json)


@accounts.command("show")
def show_account(account: AccountId, url: Url = None, profile: ProfileName = None, as_json: AsJson = False) -> None:
    """One account."""
    from millrace.remote.session import session
    from millrace.remote.shown import show

    with session(url, profile, as_json=as_json) as client:
        show(client.accounts.get(account), as_json=as_json)


@accounts.command()
def balance(
    account: AccountId,
    at: Annotated[str | None, typer.Option(help="A time: 2026-11-21T20:15:00Z.")] = None,
    url: Url = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Posted, available, held and incoming."""
    from millrace.remote.session import session
    from millrace.remote.shown import show

    with session(url, profile, as_json=as_json) as client:
        show(client.accounts.balance(account, at=at), as_json=as_json)


@accounts.command()
def entries(
    account: AccountId, limit: Limit = 50, url: Url = None, profile: ProfileName = None, as_json: AsJson = False
) -> None:
    """What was booked, the latest first, with the balance after it."""
    from millrace.remote.session import session
    from millrace.remote.shown import show_list

    columns = ("at", "kind", "amount", "balance", "counterparty", "description")
    with session(url, profile, as_json=as_json) as client:
        show_list(client.accounts.entries(account), columns, limit, as_json=as_json)


@accounts.command()
def deposit(
    account: AccountId,
    amount: AmountText,
    currency: Currency,
    method: Method = "cash",
    description: Description = None,
    key: Key = None,
    wait_s: Wait = None,
    url: Url = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Pay money in."""
    from millrace.remote.session import session
    from millrace.remote.shown import show

    with session(url, profile, as_json=as_json) as client:
        made = client.deposits.create(
            account,
            amount,
            currency,
            method=method,
            description=description,
            idempotency_key=key,
            wait_s=wait_s,
        )
        show(made, as_json=as_json)


@accounts.command()
def withdraw(
    account: AccountId,
    amount: AmountText,
    currency: Currency,
    method: Method = "cash",
    description: Description = None,
    key: Key = None,
    wait_s: Wait = None,
    url: Url = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Pay money out."""
    from millrace.remote.session import session
    from millrace.remote.shown import show

    with session(url, profile, as_json=as_json) as client:
        made = client.withdrawals.create(
            account,
            amount,
            currency,
            method=method,
            description=description,
            idempotency_key=key,
            wait_s=wait_s,
        )
        show(made, as_json=as_json)


@commands.command()
def transfer(
    from_account: Annotated[str, typer.Argument(help="An account, user or alias.", show_default=False)],
    to_account: Annotated[str, typer.Argument(help="An account, user or alias.", show_default=False)],
    amount: AmountText,
    currency: Currency,
    description: Description = None,
    key: Key = None,
    wait_s: Wait = None,
    url: Url = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Move money. Exits 5 where it is not known whether it was taken, and says how to find out."""
    from millrace.remote.session import session
    from millrace.remote.shown import show

    with session(url, profile, as_json=as_json) as client:
        made = client.transfers.create(
            from_account, to_account, amount, currency, description=description, idempotency_key=key, wait_s=wait_s
        )
        show(made, as_json=as_json)


@payments.command("list")
def list_payments(
    account: Annotated[str | None, typer.Option(help="acc_…")] = None,
    status: Annotated[str | None, typer.Option(help="received, authorised, posted, …")] = None,
    limit: Limit = 50,
    url: Url = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Payments of an account, the latest first; without --account your own."""
    from millrace.remote.session import session
    from millrace.remote.shown import show_list

    columns = ("id", "status", "from_account", "to_account", "amount", "currency", "reason")
    with session(url, profile, as_json=as_json) as client:
        show_list(client.transfers.list(account=account, status=status), columns, limit, as_json=as_json)


@payments.command("show")
def show_payment(payment: PaymentId, url: Url = None, profile: ProfileName = None, as_json: AsJson = False) -> None:
    """One payment with every step of it."""
    from millrace.remote.session import session
    from millrace.remote.shown import show

    with session(url, profile, as_json=as_json) as client:
        show(client.transfers.timeline(payment), as_json=as_json)


@payments.command()
def wait(
    payment: PaymentId,
    timeout_s: Annotated[int, typer.Option("--timeout", min=1, help="Seconds.")] = 60,
    url: Url = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Wait until it is final. Exits 1 where it is not by then."""
    from millrace.remote.session import session
    from millrace.remote.shown import show

    with session(url, profile, as_json=as_json) as client:
        show(client.transfers.wait(payment, timeout_s=timeout_s), as_json=as_json)


@payments.command()
def refund(
    payment: PaymentId,
    amount: Annotated[str | None, typer.Option(help="Default: all that is left.")] = None,
    description: Description = None,
    key: Key = None,
    wait_s: Wait = None,
    url: Url = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Give it back, or part of it."""
    from millrace.remote.session import session
    from millrace.remote.shown import show

    with session(url, profile, as_json=as_json) as client:
        made = client.transfers.refund(
            payment, amount=amount, description=description, idempotency_key=key, wait_s=wait_s
        )
        show(made, as_json=as_json)


@commands.command()
def watch(
    object: Annotated[
        str | None, typer.Argument(help="acc_…, pay_… or another id; without one: all that you see.")
    ] = None,
    last: Annotated[int, typer.Option(min=0, max=499, help="First so many of what was before.")] = 10,
    type: Annotated[str | None, typer.Option(help="Such as payment.posted.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many.")] = None,
    every_s: Annotated[int, typer.Option("--every", min=1, help="Seconds between looks.")] = 1,
    url: Url = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Show what happens to an account or a payment, as it happens, until Ctrl-C. `--json`: one object per line."""
    from millrace.remote.watching import run

    run(
        object,
        last=last,
        type=type,
        count=count,
        every_s=every_s,
        url=url,
        profile=profile,
        as_json=as_json,
    )


@commands.command()
def load(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="FILE.csv or FILE.ndjson.")],
    batch_lines: Annotated[int, typer.Option(min=1, max=10_000, help="Lines per request.")] = 1_000,
    anew: Annotated[
        str | None, typer.Option(help="Pay the same file again, under this name; not lines with own keys.")
    ] = None,
    url: Url = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Send the payments of a file. Killed at any place and run again, it goes on, and each line is paid once.

    Exits 1 where a line was refused; FILE.rejected.ndjson has them with their reasons.
    """
    from millrace.remote.loading.command import run

    run(file, batch_lines=batch_lines, anew=anew, url=url, profile=profile, as_json=as_json)
