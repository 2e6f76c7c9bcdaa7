"""Goal: a date of birth is as exact as its list knows it, and never more."""

import pytest

from screening.lists.dates import birth_date


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("12 May 1960", "1960-05-12"),
        ("2 September 1960", "1960-09-02"),
        ("May 1960", "1960-05"),
        ("1960", "1960"),
        ("circa 1960", "1960"),
        ("Circa  May 1960", "1960-05"),
        ("1958 to 1962", "1958/1962"),
        ("1958-1962", "1958/1962"),
        ("1960-05-12", "1960-05-12"),
        ("1960-05", "1960-05"),
        ("Spring 1960", None),
        ("12 Xyz 1960", None),
        ("60", None),
        ("", None),
    ],
)
def test_dates_of_birth(text: str, iso: str | None) -> None:
    assert birth_date(text) == iso
