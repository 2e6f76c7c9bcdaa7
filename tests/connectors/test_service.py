"""Goal: who is served follows from the settings, and no secret is told to anybody."""

import logging
from pathlib import Path

import pytest

from connectors.psp.stripe import StripeProvider
from connectors.service import NothingToServe, providers_of, run
from runtime.settings import Settings
from tests.connectors.requests import charge
from tests.connectors.sandbox_process import API_KEY


def test_a_provider_is_served_where_it_has_a_key(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("sk_test_1\n")
    (provider,) = providers_of(Settings(stripe_api_key_file=key)).values()
    assert isinstance(provider, StripeProvider)
    assert provider.name == "stripe"


def test_without_any_the_variable_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NothingToServe):
        providers_of(Settings())
    assert run(Settings()) == 1
    assert "MILLRACE_STRIPE_API_KEY_FILE" in capsys.readouterr().err


def test_a_key_that_cannot_be_read_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Settings(stripe_api_key_file=tmp_path / "nothing")) == 1
    assert str(tmp_path / "nothing") in capsys.readouterr().err


async def test_neither_key_nor_token_is_logged(provider: StripeProvider, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("tests").debug("logged")
        for token in ("pm_card_visa", "pm_card_chargeDeclined"):
            await provider.charge(charge(token=token))
            await provider.inquire(charge(token=token))
    assert "logged" in caplog.text
    assert not {secret for secret in (API_KEY, "pm_card_", "Authorization") if secret in caplog.text}
