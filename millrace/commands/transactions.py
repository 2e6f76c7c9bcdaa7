"""`millrace transactions hanging`: transactions that nothing will ever end, explained and, with --finish, ended."""

import typer

from millrace.cli import EXIT_ALARM, EXIT_FAILED
from millrace.commands.output import print_failure, print_json, screen
from millrace.environment import connected
from millrace.watch import describe
from runtime.exactly_once.broker.hanging import Decision, Verdict, decide, find_hanging, finish_as_decided
from runtime.exactly_once.broker.transaction_admin import IncompleteView
from runtime.exactly_once.broker.transaction_log import read_transaction_log
from runtime.kafka_client import AccessRefused, Brokers
from runtime.kafka_login import refuse_hidden_topics, refuse_wrong_login
from runtime.settings import Settings
from schemas import access, topics


def run(*, finish: bool, as_json: bool) -> None:
    """Exit code 0 when none hangs (or all are ended), 4 when one does, 1 when no verdict is possible."""
    settings = connected(Settings())
    try:
        verdicts = _verdicts(settings, finish=finish)
    except (AccessRefused, IncompleteView, OSError) as error:
        print_failure(f"no verdict: {error}")
        raise typer.Exit(EXIT_FAILED) from error
    if as_json:
        print_json([_row(verdict, finish=finish) for verdict in verdicts])
    elif not verdicts:
        screen.print("No transaction hangs.")
    for verdict in verdicts if not as_json else ():
        screen.print(_line(verdict, finish=finish), markup=False)
    if any(not _is_ended(verdict, finish=finish) for verdict in verdicts):
        raise typer.Exit(EXIT_ALARM)


def _verdicts(settings: Settings, *, finish: bool) -> list[Verdict]:
    brokers = Brokers.of(settings)
    refuse_wrong_login(brokers)
    refuse_hidden_topics(brokers, [*(topic.name for topic in topics.CATALOGUE), access.CONSUMER_OFFSETS])
    hanging = find_hanging(brokers, settings.transaction_timeout_ms)
    if not hanging:
        return []
    if finish:
        return finish_as_decided(brokers, hanging)
    return decide(read_transaction_log(brokers), hanging)


def _is_ended(verdict: Verdict, *, finish: bool) -> bool:
    return finish and verdict.decision is not Decision.REFUSED


def _row(verdict: Verdict, *, finish: bool) -> dict[str, object]:
    topic, partition = verdict.open.partition
    return {
        "topic": topic,
        "partition": partition,
        "producer_id": verdict.open.producer_id,
        "decision": verdict.decision.value,
        "ended": _is_ended(verdict, finish=finish),
    }


def _line(verdict: Verdict, *, finish: bool) -> str:
    if verdict.decision is Decision.REFUSED:
        return f"{describe(verdict.open)}: no decision is on record; an operator has to look, nothing was done"
    if finish:
        return f"{describe(verdict.open)}: ended as decided ({verdict.decision.value})"
    return f"{describe(verdict.open)}: decided {verdict.decision.value}, never finished; --finish writes the marker"
