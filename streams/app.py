"""The Faust application: which agent decides which topic. `faust -A streams.app worker` and `millrace worker` run it.

The one module with objects made at import, because Faust's decorators need them.
"""

from collections.abc import AsyncIterable, Callable

import faust

from runtime.exactly_once.contract import Chunk
from runtime.faust_app import app_options, bind, chunk_topic
from runtime.settings import Settings
from schemas import topics
from schemas.access import APPLICATION
from streams.agents.authorise import authorise
from streams.agents.conclude import conclude
from streams.agents.post import post
from streams.agents.take_back import take_back
from streams.shard import Shard
from streams.tables import Tables

__all__ = ("APPLICATION", "app")

settings = Settings()
tables = Tables(settings.shards, settings.state_dir / str(settings.slot))
app = faust.App(APPLICATION, **app_options(settings))
bind(app, tables, settings)


def _decides(topic: topics.Topic, decide: Callable[[Shard, Chunk], None]) -> None:
    async def agent(chunks: AsyncIterable[Chunk]) -> None:
        async for chunk in chunks:
            decide(tables[chunk.shard], chunk)

    app.agent(chunk_topic(app, topic.name), name=decide.__name__)(agent)


_decides(topics.COMMANDS, authorise)
_decides(topics.CREDITS, post)
_decides(topics.RETURNS, take_back)
_decides(topics.CONNECTOR_RESULTS, conclude)
