"""CPU time by process of the pipeline, from /proc: user and system time, threads included."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from millrace.environment import LocalEnvironment

_TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")


def cpu_us(env: LocalEnvironment) -> dict[str, int]:
    """CPU microseconds so far of each service of the environment (its children included) and of this process."""
    spent, children = _all_processes()
    found = {
        service.name: sum(spent.get(pid, 0) for pid in _tree(service.pid, children))
        for service in env.status().services
        if service.pid is not None
    }
    times = os.times()
    found["load generator"] = round((times.user + times.system) * 1_000_000)
    return found


def used_between(before: dict[str, int], after: dict[str, int], payments: int) -> dict[str, float]:
    """Microseconds per payment by process, largest first; what did nothing is left out."""
    used = {name: after.get(name, 0) - spent for name, spent in before.items()}
    ordered = sorted(used.items(), key=lambda item: -item[1])
    return {name: round(spent / payments, 1) for name, spent in ordered if spent > 0}


def _all_processes() -> tuple[dict[int, int], dict[int, list[int]]]:
    spent: dict[int, int] = {}
    children: defaultdict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        pid, parent = int(folder.name), int(fields[1])
        user, system, waited_user, waited_system = map(int, fields[11:15])
        spent[pid] = (user + system + waited_user + waited_system) * _TICK_US
        children[parent].append(pid)
    return spent, children


def _tree(root: int, children: dict[int, list[int]]) -> Iterable[int]:
    yield root
    for child in children.get(root, ()):
        yield from _tree(child, children)
