"""Plays episodes of random operations, each in a world of its own, and shrinks the one that ends in a disagreement."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields

from payments.commands import Command
from payments.errors import MillraceError
from tests.model.interleaving import Interleaving
from tests.model.watcher import Watcher
from tests.model.world import Ask, Step, World

EPISODE_OPERATIONS = 5_000
SHRINKING_PLAYS = 300
FAILURES = (AssertionError, MillraceError, LookupError, ArithmeticError, AttributeError, TypeError, ValueError)
"""A disagreement, or a core that stumbles over what it was asked."""


@dataclass
class Disagreed:
    """Where model and pipeline parted, and the way there."""

    episode: int
    operation: int
    """The number of operations until then, that one included."""
    what: str
    steps: list[str]
    """The fewest found that end in a disagreement."""
    command: str


@dataclass
class Outcome:
    """What a run has seen."""

    seed: int
    operations: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    """Commands and instructions."""
    entries: Counter[str] = field(default_factory=Counter)
    """What they became."""
    reasons: Counter[str] = field(default_factory=Counter)
    disagreements: list[Disagreed] = field(default_factory=list)
    kills: int = 0
    seconds: int = 0

    def add(self, watcher: Watcher) -> None:
        """What a world has seen, to what others have."""
        self.operations += watcher.kinds.total()
        self.kinds += watcher.kinds
        self.entries += watcher.entries
        self.reasons += watcher.reasons

    def count(self, watcher: Watcher) -> None:
        """What one world has seen so far, alone."""
        self.operations, self.kinds = watcher.kinds.total(), watcher.kinds
        self.entries, self.reasons = watcher.entries, watcher.reasons


def run(operations: int, seed: int, progress: Callable[[Outcome], None] = lambda _: None) -> Outcome:
    """Episode after episode, until the operations are done or one disagrees."""
    outcome, started_s = Outcome(seed), time.monotonic()
    episode = 0
    while outcome.operations < operations and not outcome.disagreements:
        play_episode(outcome, episode, min(EPISODE_OPERATIONS, operations - outcome.operations))
        outcome.seconds = round(time.monotonic() - started_s)
        progress(outcome)
        episode += 1
    return outcome


def play_episode(outcome: Outcome, episode: int, operations: int) -> None:
    """Add one episode to the outcome."""
    world, played = World(), []
    made = Interleaving(random.Random(f"{outcome.seed}/{episode}"), world.watcher.ledger.state)
    try:
        for step in made.steps(operations):
            played.append(step)
            world.play(step)
        world.come_to_rest()
    except FAILURES as failure:
        outcome.disagreements.append(_disagreed(outcome.seed, episode, played, failure))
    outcome.add(world.watcher)


def _disagreed(seed: int, episode: int, played: list[Step], failure: Exception) -> Disagreed:
    operation = sum(isinstance(step, Ask) for step in played)
    return Disagreed(
        episode,
        operation,
        f"{type(failure).__name__}: {failure}",
        [shown(step) for step in shrunk(played)],
        f"python -m tests.model --seed {seed} --episode {episode} --operations {operation}",
    )


def shrunk(steps: Sequence[Step]) -> Sequence[Step]:
    """Fewer steps that still end in a disagreement: halves, quarters … are left out as long as it stays."""
    size, plays = len(steps) // 2, 0
    while size:
        start, before = 0, len(steps)
        while start < len(steps) and plays < SHRINKING_PLAYS:
            fewer = [*steps[:start], *steps[start + size :]]
            plays += 1
            if _ends_in_a_disagreement(fewer):
                steps = fewer
            else:
                start += size
        if size > 1 or len(steps) == before:  # single ones until none can go
            size //= 2
    return steps


def _ends_in_a_disagreement(steps: Sequence[Step]) -> bool:
    world = World()
    try:
        for step in steps:
            world.play(step)
        world.come_to_rest()
    except FAILURES:
        return True
    return False


def shown(step: Step) -> str:
    """`Ask transfer payer=… …`, with ids in hexadecimal digits."""
    if not isinstance(step, Ask):
        return f"{type(step).__name__} {', '.join(_pairs(step))}"
    asked = step.asked
    name = asked.kind.name.lower() if isinstance(asked, Command) else type(asked).__name__
    stated = asked._asdict().items() if isinstance(asked, Command) else _items(asked)
    return f"{name} at {step.time_us}: {', '.join(f'{key}={_text(value)}' for key, value in stated)}"


def _pairs(step: Step) -> Iterator[str]:
    return (f"{key}={value}" for key, value in _items(step))


def _items(value: object) -> list[tuple[str, object]]:
    return [(one.name, getattr(value, one.name)) for one in fields(value)]  # type: ignore[arg-type]  # dataclasses all


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return f"({', '.join(map(_text, value))})"
    return str(value)
