"""One mutant under its schedule, or its control: the same with the guard in place."""

import re

import msgspec

from tests.faults.mutants.matrix import MUTANTS
from tests.faults.run import RATE_PER_S, Outcome, run_scenario

PROGRAM = "tests.faults.mutants.process"


class MutantOutcome(Outcome, frozen=True, kw_only=True):
    """What `--mutant NAME --json FILE` writes."""

    mutant: str
    guard: str
    control: bool
    """The guard was in place, everything else as for the mutant."""

    as_expected: bool
    """The mutant did the harm that the guard prevents and the verifier named it; a control passed."""


def run_mutant(name: str, seed: int, *, control: bool = False, rate_per_s: int = RATE_PER_S) -> MutantOutcome:
    """Raises KeyError for a mutant that does not exist."""
    mutant = MUTANTS[name]
    title = f"{'control of' if control else 'without'} {name}"
    outcome = run_scenario(title, mutant.scenario, seed, rate_per_s, (PROGRAM, mutant.changes(control=control)))
    named = any(re.search(mutant.finding, finding) for finding in outcome.findings)
    return MutantOutcome(
        **msgspec.structs.asdict(outcome),
        mutant=name,
        guard=mutant.guard,
        control=control,
        as_expected=outcome.passed if control else named,
    )
