"""`millrace scheduler` and the sub-commands `millrace schedule …`, as millrace.cli has the others."""

from typing import Annotated

import typer

app = typer.Typer()

schedule = typer.Typer(no_args_is_help=True, help="Scheduled and recurring transfers.")
app.add_typer(schedule, name="schedule")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def scheduler() -> None:
    """Send transfers that are due, in the foreground; several may run at once."""
    from millrace.commands.services import run_scheduler

    run_scheduler()


@schedule.command(name="list")
def list_schedules(
    status: Annotated[str, typer.Option(help="active, paused, ended or all.")] = "active",
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    as_json: AsJson = False,
) -> None:
    """Show the schedules, newest first."""
    from millrace.schedules.command import run_list

    run_list(status=status, limit=limit, as_json=as_json)


@schedule.command()
def show(
    schedule_id: Annotated[str, typer.Argument(metavar="ID", help="As the list names it: sch_….")],
    as_json: AsJson = False,
) -> None:
    """Show one schedule, what became of its latest occurrences, and when the next ones are due."""
    from millrace.schedules.command import run_show

    run_show(schedule_id, as_json=as_json)


@schedule.command()
def run(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be issued.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run one pass now, as the scheduler does twice a second."""
    from millrace.schedules.command import run_once

    run_once(dry_run=dry_run, as_json=as_json)
