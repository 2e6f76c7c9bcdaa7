"""Goal: docs/security.md shows the rights that `millrace topics` grants, every one of them."""

import pytest

from schemas import access_page
from schemas.access import PRINCIPALS


def test_the_page_is_up_to_date() -> None:
    text = access_page.PAGE.read_text()
    assert access_page.page(text) == text, "run `python -m schemas.access_page`"


def test_every_right_has_a_row_with_its_reason() -> None:
    rows = access_page.table().splitlines()[2:]
    assert len(rows) == sum(len(principal.grants) for principal in PRINCIPALS)
    assert all(grant.why for principal in PRINCIPALS for grant in principal.grants)


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="unpack"):
        access_page.page("no marks")


def test_a_principal_has_each_right_once() -> None:
    for principal in PRINCIPALS:
        rights = [grant[:3] for grant in principal.grants]
        assert len(rights) == len(set(rights)), principal.name
