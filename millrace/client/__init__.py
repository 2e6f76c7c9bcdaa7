"""The Python client of the API, for threads (`Client`) and tasks (`AsyncClient`). docs/client.md begins with examples.

Needs neither Kafka nor Postgres: it speaks HTTP, and imports nothing of the services.
"""

from millrace.client.batches import account_line, deposit_line, transfer_line
from millrace.client.clients import AsyncClient, Client
from millrace.client.credentials import ApiKey, Bearer, ClientCredentials, Password, RefreshToken
from millrace.client.faults import (
    AccountUnusable,
    AnswerUnreadable,
    Changed,
    ClientError,
    Conflict,
    ConnectionFailed,
    DeniedByRisk,
    InsufficientFunds,
    InvalidRequest,
    KeyReused,
    LimitExceeded,
    NotAllowed,
    NotAuthenticated,
    NotFinal,
    NotFound,
    OutcomeUnknown,
    Problem,
    RateLimited,
    Refused,
    SecondFactorRequired,
    ServerFault,
    SignatureMismatch,
    Unavailable,
)
from millrace.client.retries import RetryPolicy
from millrace.client.signatures import SignedRequests
from millrace.client.webhooks import verify_webhook

__all__ = [
    "AccountUnusable",
    "AnswerUnreadable",
    "ApiKey",
    "AsyncClient",
    "Bearer",
    "Changed",
    "Client",
    "ClientCredentials",
    "ClientError",
    "Conflict",
    "ConnectionFailed",
    "DeniedByRisk",
    "InsufficientFunds",
    "InvalidRequest",
    "KeyReused",
    "LimitExceeded",
    "NotAllowed",
    "NotAuthenticated",
    "NotFinal",
    "NotFound",
    "OutcomeUnknown",
    "Password",
    "Problem",
    "RateLimited",
    "RefreshToken",
    "Refused",
    "RetryPolicy",
    "SecondFactorRequired",
    "ServerFault",
    "SignatureMismatch",
    "SignedRequests",
    "Unavailable",
    "account_line",
    "deposit_line",
    "transfer_line",
    "verify_webhook",
]
