"""Which actions need a second factor of lately: the functions that routes ask.

Machines have none to give: their own secrets and signatures are what they have. Scopes of staff are withheld from the
token itself until there is a second factor (ingest_api/identity/roles.py); here is what depends on the amount.
"""

import time

from ingest_api.identity.tokens import Principal, second_factor_required, session_ended
from ingest_api.owners.rights import user_of
from ingest_api.services import Services
from payments.money import EXPONENTS


async def require_for_money_out(services: Services, principal: Principal, amount_minor: int, currency: str) -> None:
    """Money leaves the installation. Raises Problem 401 where the user has to give a second factor first,
    DatabaseUnavailable.
    """
    if is_for_two_factors(services, principal, amount_minor, currency):
        await require_second_factor(services, principal)


def is_for_two_factors(services: Services, principal: Principal, amount_minor: int, currency: str) -> bool:
    """True for a user who sends so much out."""
    free_minor = services.settings.auth_second_factor_above * 10 ** EXPONENTS[currency]
    return amount_minor > free_minor and user_of(principal) is not None


async def require_second_factor(services: Services, principal: Principal) -> None:
    """The principal has given one within MILLRACE_AUTH_SECOND_FACTOR_S, and the session stands at this moment. Raises
    Problem 401, DatabaseUnavailable.
    """
    max_age_s = services.settings.auth_second_factor_s
    given_s = principal.second_factor_at_s
    if given_s is None and principal.session is None:  # an API key, or a token made on the spot
        raise second_factor_required(max_age_s, "Log in for so much: a key gives no second factor.")
    if given_s is None or given_s + max_age_s < time.time():
        raise second_factor_required(max_age_s)
    if principal.session is not None and await services.identity.sessions.find(principal.session) is None:
        raise session_ended()
