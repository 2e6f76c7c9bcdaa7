"""The application as Faust agents: `app` for `faust -A tests.exactly_once.application.faust_worker:app worker`.

The run's name comes from ACCOUNT_SUMS_RUN; ACCOUNT_SUMS_PAUSE_S makes each agent wait before it decides, and
ACCOUNT_SUMS_FAIL injects one mistake: agent, service, topics or options, or a SIGTERM in the restore: stop.
"""

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import faust

from runtime.exactly_once import engine
from runtime.exactly_once.contract import ShardLog
from runtime.faust_app import app_options, bind, chunk_topic
from runtime.settings import Settings
from tests.exactly_once.application.account_sums import AccountSums

run = os.environ["ACCOUNT_SUMS_RUN"]
pause_s = float(os.environ.get("ACCOUNT_SUMS_PAUSE_S", "0"))
mistake = os.environ.get("ACCOUNT_SUMS_FAIL", "")
settings = Settings()


class StoppedInRestore(AccountSums):
    """Its process is told to stop before it has heard of its assignment."""

    def restore(self, shard: int, log: ShardLog) -> Mapping[str, int]:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)  # Faust's loop takes the signal meanwhile
        return super().restore(shard, log)


if mistake == "stop":
    engine.IDLE_WAIT_S = 5.0  # so that the poll with the assignment in it waits for the first records, too
store = StoppedInRestore(run) if mistake == "stop" else AccountSums(run)
options = app_options(settings)
if mistake == "options":
    options["topic_allow_declare"] = True
app = faust.App(run, **options)
bind(app, store, settings)


@app.agent(chunk_topic(app, store.topics.commands))  # type: ignore[untyped-decorator]
async def decide_commands(chunks: Any) -> None:
    async for chunk in chunks:
        if mistake == "agent":
            raise ArithmeticError("injected")
        if pause_s:
            await asyncio.sleep(pause_s)
        store.decide(chunk)


@app.agent(chunk_topic(app, store.topics.totals if mistake == "topics" else store.topics.credits))  # type: ignore[untyped-decorator]
async def decide_credits(chunks: Any) -> None:
    async for chunk in chunks:
        store.decide(chunk)


if mistake == "service":

    @app.service
    class Failing(faust.Service):  # type: ignore[misc]
        """A service beside the agents that dies of a bug."""

        @faust.Service.task  # type: ignore[untyped-decorator]
        async def _fail(self) -> None:
            await asyncio.sleep(1)
            raise ArithmeticError("injected")
