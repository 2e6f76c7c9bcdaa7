"""The application as Faust agents: `app` for `faust -A tests.exactly_once.application.faust_worker:app worker`.

The run's name comes from ACCOUNT_SUMS_RUN; ACCOUNT_SUMS_PAUSE_S makes each agent wait before it decides.
"""

import asyncio
import os
from typing import Any

import faust

from runtime.faust_app import app_options, bind, chunk_topic
from runtime.settings import Settings
from tests.exactly_once.application.account_sums import AccountSums

run = os.environ["ACCOUNT_SUMS_RUN"]
pause_s = float(os.environ.get("ACCOUNT_SUMS_PAUSE_S", "0"))
settings = Settings()
store = AccountSums(run)
app = faust.App(run, **app_options(settings))
bind(app, store, settings)


@app.agent(chunk_topic(app, store.topics.commands))  # type: ignore[untyped-decorator]
async def decide_commands(chunks: Any) -> None:
    async for chunk in chunks:
        if pause_s:
            await asyncio.sleep(pause_s)
        store.decide(chunk)


@app.agent(chunk_topic(app, store.topics.credits))  # type: ignore[untyped-decorator]
async def decide_credits(chunks: Any) -> None:
    async for chunk in chunks:
        store.decide(chunk)
