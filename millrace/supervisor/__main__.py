"""`python -m millrace.supervisor PLAN [--lifeline]`: run a plan until told to stop. Started by the environment."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from millrace.supervisor.service import Plan
from millrace.supervisor.supervisor import Supervisor
from runtime.log_lines import log_to_stderr


def main(arguments: list[str]) -> None:
    """Read the plan and run it."""
    log_to_stderr(with_name=False)
    plan = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=Plan)
    asyncio.run(_run(plan, lifeline="--lifeline" in arguments))


async def _run(plan: Plan, *, lifeline: bool) -> None:
    probes = ThreadPoolExecutor(len(plan.services) + 1)  # each service's probe may block in a thread of its own
    asyncio.get_running_loop().set_default_executor(probes)
    await Supervisor(plan).run(lifeline=lifeline)


if __name__ == "__main__":
    main(sys.argv[1:])
