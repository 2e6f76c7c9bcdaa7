"""Pass P8: open lines of one side that add up to one open line of the other, where only one set does: a suggestion.

Only lines of the same currency, account and window of days are tried; sums alone prove nothing.
"""

from reconciliation.matching.lines import Line
from reconciliation.matching.passes.pairing import within
from reconciliation.matching.passes.subsets import only_subset
from reconciliation.matching.results import Match
from reconciliation.matching.rules import Pass, Rules


def suggested(internal: list[Line], external: list[Line], rules: Rules) -> list[Match[Line]]:
    """For each external line, and then for each internal one."""
    found: list[Match[Line]] = []
    for line in external:
        part = _part(line, [own for own in internal if within(own, line, rules.date_window, rules)])
        if part:
            found.append(Match(Pass.SUBSET_SUM, {"sum_minor": str(line.amount_minor)}, 50, part, (line,)))
    for own in internal:
        part = _part(own, [line for line in external if within(own, line, rules.date_window, rules)])
        if part:
            found.append(Match(Pass.SUBSET_SUM, {"sum_minor": str(own.amount_minor)}, 50, (own,), part))
    return found


def _part(whole: Line, candidates: list[Line]) -> tuple[Line, ...]:
    sign = 1 if whole.amount_minor > 0 else -1
    alike = [
        line
        for line in candidates
        if line.currency == whole.currency and line.account == whole.account and line.amount_minor * sign > 0
    ]
    subset = only_subset([abs(line.amount_minor) for line in alike], abs(whole.amount_minor))
    return tuple(alike[index] for index in subset) if subset and len(subset) > 1 else ()
