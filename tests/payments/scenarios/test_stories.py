"""Goal: an accountant can read what becomes of a payment: the story, the entries, the journal, and who has what then.

Balances are `posted available`: what has been journalled, and what may be spent. Cash is the operator's clearing
account; customers' accounts are its liabilities, so money paid in is a debit there.
"""

from typing import NamedTuple

import pytest

from payments.entries import EntryKind
from tests.payments.scenarios.ledger_of import Books

OPENED = """
    anna opens EUR
    bert opens EUR
    carl opens EUR
    anna deposits 100.00
"""
AT_FIRST = {"anna": "100.00 100.00", "bert": "0.00 0.00", "carl": "0.00 0.00", "cash": "-100.00"}


class Story(NamedTuple):
    """What is asked after the opening, and what stands in the books."""

    title: str
    asked: str
    entries: str
    journal: str
    balances: dict[str, str]
    """Those that differ from the opening."""


STORIES = [
    Story(
        "a payment is reserved first and posted when it arrives",
        """
        anna pays bert 30.00
        deliver
        """,
        """
        reserved anna → bert 30.00
        posted anna → bert 30.00
        """,
        "Dr anna Cr bert 30.00",
        {"anna": "70.00 70.00", "bert": "30.00 30.00"},
    ),
    Story(
        "money in flight is spent for the payer and not yet there for the payee",
        "anna pays bert 30.00",
        "reserved anna → bert 30.00",
        "",
        {"anna": "100.00 70.00"},
    ),
    Story(
        "what is in flight cannot be spent twice",
        """
        anna pays bert 60.00
        anna pays carl 60.00
        deliver
        """,
        """
        reserved anna → bert 60.00
        rejected anna → carl 60.00 insufficient_funds
        posted anna → bert 60.00
        """,
        "Dr anna Cr bert 60.00",
        {"anna": "40.00 40.00", "bert": "60.00 60.00"},
    ),
    Story(
        "the last cent can be spent and one more cannot",
        """
        anna pays bert 100.00
        anna pays bert 0.01
        deliver
        """,
        """
        reserved anna → bert 100.00
        rejected anna → bert 0.01 insufficient_funds
        posted anna → bert 100.00
        """,
        "Dr anna Cr bert 100.00",
        {"anna": "0.00 0.00", "bert": "100.00 100.00"},
    ),
    Story(
        "a payment to nobody comes back and leaves no trace in the journal",
        """
        anna pays dora 30.00
        deliver
        """,
        """
        reserved anna → dora 30.00
        refused anna → dora 30.00 payee_not_found
        returned anna → dora 30.00 payee_not_found
        """,
        "",
        {},
    ),
    Story(
        "an account that freezes while money is on its way refuses it",
        """
        anna pays bert 30.00
        bert freezes
        deliver
        """,
        """
        reserved anna → bert 30.00
        account_frozen bert
        refused anna → bert 30.00 payee_frozen
        returned anna → bert 30.00 payee_frozen
        """,
        "",
        {},
    ),
    Story(
        "a return arrives at an account that froze meanwhile, and stays there",
        """
        anna pays dora 30.00
        anna freezes
        deliver
        anna pays bert 1.00
        """,
        """
        reserved anna → dora 30.00
        account_frozen anna
        refused anna → dora 30.00 payee_not_found
        returned anna → dora 30.00 payee_not_found
        rejected anna → bert 1.00 account_frozen
        """,
        "",
        {},
    ),
    Story(
        "the same key with the same body moves money once",
        """
        anna pays bert 30.00 as rent
        anna pays bert 30.00 as rent
        deliver
        anna pays bert 30.00 as rent
        deliver
        """,
        """
        reserved anna → bert 30.00
        replayed anna → bert 30.00
        posted anna → bert 30.00
        replayed anna → bert 30.00
        """,
        "Dr anna Cr bert 30.00",
        {"anna": "70.00 70.00", "bert": "30.00 30.00"},
    ),
    Story(
        "the same key with another body moves nothing",
        """
        anna pays bert 30.00 as rent
        anna pays carl 30.00 as rent
        anna pays bert 31.00 as rent
        deliver
        """,
        """
        reserved anna → bert 30.00
        key_reused anna → carl 30.00 idempotency_key_reused
        key_reused anna → bert 31.00 idempotency_key_reused
        posted anna → bert 30.00
        """,
        "Dr anna Cr bert 30.00",
        {"anna": "70.00 70.00", "bert": "30.00 30.00"},
    ),
    Story(
        "a key that was refused stays refused when there is money",
        """
        bert pays anna 30.00 as debt
        bert deposits 50.00
        bert pays anna 30.00 as debt
        """,
        """
        rejected bert → anna 30.00 insufficient_funds
        posted cash → bert 50.00
        replayed bert → anna 30.00
        """,
        "Dr cash Cr bert 50.00",
        {"bert": "50.00 50.00", "cash": "-150.00"},
    ),
    Story(
        "the key of one account means nothing at another",
        """
        anna pays carl 10.00 as rent
        deliver
        carl pays anna 10.00 as rent
        deliver
        """,
        """
        reserved anna → carl 10.00
        posted anna → carl 10.00
        reserved carl → anna 10.00
        posted carl → anna 10.00
        """,
        """
        Dr anna Cr carl 10.00
        Dr carl Cr anna 10.00
        """,
        {},
    ),
    Story(
        "an overdraft is spent to its limit and no further",
        """
        bert may-owe 20.00
        bert pays anna 15.00
        bert pays anna 5.00
        bert pays anna 0.01
        deliver
        """,
        """
        overdraft_limit_set bert 20.00
        reserved bert → anna 15.00
        reserved bert → anna 5.00
        rejected bert → anna 0.01 insufficient_funds
        posted bert → anna 15.00
        posted bert → anna 5.00
        """,
        """
        Dr bert Cr anna 15.00
        Dr bert Cr anna 5.00
        """,
        {"anna": "120.00 120.00", "bert": "-20.00 -20.00"},
    ),
    Story(
        "an overdraft that is in use cannot be taken away",
        """
        bert may-owe 20.00
        bert pays anna 15.00
        bert may-owe 14.99
        bert may-owe 15.00
        deliver
        """,
        """
        overdraft_limit_set bert 20.00
        reserved bert → anna 15.00
        rejected bert 14.99 overdraft_in_use
        overdraft_limit_set bert 15.00
        posted bert → anna 15.00
        """,
        "Dr bert Cr anna 15.00",
        {"anna": "115.00 115.00", "bert": "-15.00 -15.00"},
    ),
    Story(
        "cash paid out goes back through the clearing account",
        """
        anna pays cash 40.00
        deliver
        """,
        """
        reserved anna → cash 40.00
        posted anna → cash 40.00
        """,
        "Dr anna Cr cash 40.00",
        {"anna": "60.00 60.00", "cash": "-60.00"},
    ),
    Story(
        "an account closes when it is empty, and then takes nothing more",
        """
        anna closes
        anna pays bert 100.00
        anna closes
        deliver
        anna deposits 1.00
        bert pays anna 1.00
        deliver
        """,
        """
        rejected anna balance_not_zero
        reserved anna → bert 100.00
        account_closed anna
        posted anna → bert 100.00
        rejected cash → anna 1.00 payee_closed
        reserved bert → anna 1.00
        refused bert → anna 1.00 payee_closed
        returned bert → anna 1.00 payee_closed
        """,
        "Dr anna Cr bert 100.00",
        {"anna": "0.00 0.00", "bert": "100.00 100.00"},
    ),
    Story(
        "a frozen account gives nothing until it is unfrozen",
        """
        anna freezes
        anna pays bert 1.00
        anna unfreezes
        anna pays bert 1.00
        deliver
        """,
        """
        account_frozen anna
        rejected anna → bert 1.00 account_frozen
        account_unfrozen anna
        reserved anna → bert 1.00
        posted anna → bert 1.00
        """,
        "Dr anna Cr bert 1.00",
        {"anna": "99.00 99.00", "bert": "1.00 1.00"},
    ),
    Story(
        "money goes round and everybody has what they had",
        """
        anna pays bert 10.00
        deliver
        bert pays carl 10.00
        deliver
        carl pays anna 10.00
        deliver
        """,
        """
        reserved anna → bert 10.00
        posted anna → bert 10.00
        reserved bert → carl 10.00
        posted bert → carl 10.00
        reserved carl → anna 10.00
        posted carl → anna 10.00
        """,
        """
        Dr anna Cr bert 10.00
        Dr bert Cr carl 10.00
        Dr carl Cr anna 10.00
        """,
        {},
    ),
]


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def told(story: Story) -> tuple[Books, list[str]]:
    books = Books()
    books.play(OPENED)
    return books, books.play(story.asked)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.title)
def test_the_entries_are_those_of_the_story(story: Story) -> None:
    _, entries = told(story)
    assert entries == lines(story.entries)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.title)
def test_the_journal_and_the_balances_are_those_of_the_story(story: Story) -> None:
    books, _ = told(story)
    assert books.journal() == ["Dr cash Cr anna 100.00", *(lines(story.journal) if story.journal else [])]
    assert books.balances() == AT_FIRST | story.balances


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.title)
def test_telling_a_story_twice_under_the_same_keys_moves_nothing_the_second_time(story: Story) -> None:
    """Every command of the first telling is answered as a repeat: none is decided again."""
    named = "\n".join(
        line if line == "deliver" or " as " in line else f"{line} as line {number}"
        for number, line in enumerate(lines(story.asked))
    )
    books = Books()
    books.play(OPENED)
    books.play(named)
    books.play("deliver")
    before = books.balances(), books.journal()
    again = {entry.split()[0] for entry in books.play(named)}
    assert again <= {EntryKind.REPLAYED.name.lower(), EntryKind.KEY_REUSED.name.lower()}
    assert (books.balances(), books.journal()) == before


@pytest.mark.parametrize(
    ("currency", "paid", "posted"),
    [
        ("EUR", "0.01", "0.01 0.01"),
        ("JPY", "1", "1 1"),
        ("KWD", "0.001", "0.001 0.001"),
        ("CLF", "0.0001", "0.0001 0.0001"),
    ],
)
def test_the_smallest_amount_of_each_currency_arrives_whole(currency: str, paid: str, posted: str) -> None:
    books = Books(currency)
    books.play(f"anna opens {currency}\nbert opens {currency}\nanna deposits {paid}\nanna pays bert {paid}\ndeliver")
    assert books.balances()["bert"] == posted
    assert books.balances()["anna"].split()[0].strip("0.") == ""


def test_an_account_of_another_currency_refuses_and_the_payer_has_it_back() -> None:
    books = Books()
    entries = books.play(
        """
        anna opens EUR
        bert opens USD
        anna deposits 5.00
        anna pays bert 5.00
        deliver
        """
    )
    assert entries[-2:] == [
        "refused anna → bert 5.00 payee_currency_mismatch",
        "returned anna → bert 5.00 payee_currency_mismatch",
    ]
    assert books.balances()["anna"] == "5.00 5.00"


def test_every_kind_of_entry_of_transfers_deposits_and_accounts_is_in_a_story() -> None:
    """The kinds of other movements are met by the model: tests/payments/movements/test_model.py."""
    found = {line.split()[0] for story in STORIES for line in lines(story.entries)}
    plain = {kind for kind in EntryKind if kind <= EntryKind.OVERDRAFT_LIMIT_SET}
    elsewhere = {EntryKind.QUARANTINED, EntryKind.ACCOUNT_OPENED}
    assert found == {kind.name.lower() for kind in plain - elsewhere}
