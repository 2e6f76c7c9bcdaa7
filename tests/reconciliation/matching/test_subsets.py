"""Goal: a subset is suggested exactly when it is the only one; brute force over all subsets is the judge."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from reconciliation.matching.passes.subsets import AMOUNTS_MAX, TARGET_MAX_MINOR, only_subset


@given(st.lists(st.integers(-3, 12), max_size=8), st.integers(-1, 30))
def test_the_only_subset_of_positive_amounts_is_found(amounts: list[int], target: int) -> None:
    positive = [index for index, amount in enumerate(amounts) if amount > 0]
    every = [
        chosen
        for size in range(1, len(positive) + 1)
        for chosen in combinations(positive, size)
        if sum(amounts[index] for index in chosen) == target
    ]
    assert only_subset(amounts, target) == (every[0] if len(every) == 1 else None)


def test_what_would_cost_too_much_is_not_tried() -> None:
    assert only_subset([1] * AMOUNTS_MAX + [1], AMOUNTS_MAX + 1) is None
    assert only_subset([TARGET_MAX_MINOR + 1], TARGET_MAX_MINOR + 1) is None
