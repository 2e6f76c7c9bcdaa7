"""What comes in and goes out where somebody logs in: one Struct each, for decoding, encoding and OpenAPI alike."""

from typing import Annotated, Any, Literal

import msgspec

from ingest_api.http.resources import ProblemBody

UserNameText = Annotated[
    str, msgspec.Meta(description="User name or e-mail address", extra_json_schema={"maxLength": 320})
]
PasswordText = Annotated[str, msgspec.Meta(extra_json_schema={"format": "password", "maxLength": 256})]
OtpText = Annotated[
    str, msgspec.Meta(description="Code of the app, or a recovery code", extra_json_schema={"maxLength": 64})
]


class TokenBody(msgspec.Struct, frozen=True):
    """A token request (RFC 6749). Which parameters are needed depends on the grant type; others are ignored."""

    grant_type: str = "password"
    """`password`, `refresh_token` or `client_credentials`."""
    username: UserNameText | None = None
    password: PasswordText | None = None
    otp: OtpText | None = None
    refresh_token: str | None = None
    client_id: str | None = None
    client_secret: PasswordText | None = None
    scope: str | None = None
    """Scopes by spaces; none means all that there are to have."""


class TokenAnswer(msgspec.Struct, omit_defaults=True):
    """RFC 6749 §5.1."""

    access_token: str
    expires_in: int
    scope: str
    token_type: Literal["Bearer"]
    refresh_token: str | None = None


class OAuthProblemBody(ProblemBody):
    """RFC 9457 with the members of RFC 6749 §5.2."""

    error: str = ""
    error_description: str = ""


class GenerateTokenBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """User name and password, or a refresh token: `{"token": "mrt_…", "type": "refresh"}`."""

    username: UserNameText | None = None
    password: PasswordText | None = None
    otp: OtpText | None = None
    token: str | None = None
    type: Literal["refresh"] | None = None


class RefreshTokenResource(msgspec.Struct):
    """What to send to get the next token."""

    token: str
    type: Literal["refresh"] = "refresh"


class AccountTokenResource(msgspec.Struct, omit_defaults=True):
    """A token for the user of an account. Without `refresh` it is the one that was answered before."""

    status_code: int
    token: str
    expirationTimestamp: str
    refresh: RefreshTokenResource | None = None


class JsonWebKeySet(msgspec.Struct):
    """RFC 7517 §5: the keys that tokens are verified with, the newest first."""

    keys: list[dict[str, Any]]


class ServerMetadata(msgspec.Struct):
    """RFC 8414."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    grant_types_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    scopes_supported: list[str]
    response_types_supported: list[str]
    acr_values_supported: list[str]


RESOURCES: tuple[type, ...] = (
    TokenBody,
    TokenAnswer,
    OAuthProblemBody,
    GenerateTokenBody,
    AccountTokenResource,
    JsonWebKeySet,
    ServerMetadata,
)
