"""Stripe's errors, as its API shapes them."""

from typing import Any

JsonObject = dict[str, Any]


class Refused(Exception):
    """One error body. `is_saved`: the idempotency key remembers it, because the endpoint had begun its work."""

    def __init__(
        self,
        status: int,
        code: str | None,
        message: str,
        *,
        error_type: str = "invalid_request_error",
        is_saved: bool = True,
        **fields: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.is_saved = is_saved
        named = {"code": code, "message": message, "type": error_type, **fields}
        self.body: JsonObject = {"error": {name: value for name, value in named.items() if value is not None}}


def invalid(param: str, code: str, message: str) -> Refused:
    """A parameter that is refused before anything begins: the key stays free."""
    return Refused(400, code, message, param=param, is_saved=False)


def missing(kind: str, object_id: str) -> Refused:
    return Refused(404, "resource_missing", f"No such {kind}: '{object_id}'", param="id")


def wrong_state(message: str, code: str = "payment_intent_unexpected_state", **fields: Any) -> Refused:
    return Refused(400, code, message, **fields)


def in_use(key: str) -> Refused:
    return Refused(
        409,
        "idempotency_key_in_use",
        f"There is currently another in-progress request using this Idempotent Key: {key}",
        error_type="idempotency_error",
        is_saved=False,
    )


def other_parameters(key: str) -> Refused:
    return Refused(
        400,
        None,
        "Keys for idempotent requests can only be used with the same parameters they were first used with."
        f" Try using a key other than '{key}' if you meant to execute a different request.",
        error_type="idempotency_error",
        is_saved=False,
    )


def rate_limited() -> Refused:
    return Refused(429, "rate_limit", "Request rate limit exceeded.", is_saved=False)


def internal() -> Refused:
    return Refused(500, None, "An unknown error occurred.", error_type="api_error")
