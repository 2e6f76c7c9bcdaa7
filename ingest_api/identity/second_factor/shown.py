"""What comes in and goes out about second factors."""

import msgspec

from ingest_api.identity.oauth.shown import OtpText, PasswordText


class EnrolBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Begin to use an app for codes."""

    password: PasswordText


class CodeBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A code of the app; where one is asked for anew, a recovery code does as well."""

    otp: OtpText


class EnrolmentResource(msgspec.Struct):
    """What the app has to know: shown once, and of no effect until it is confirmed."""

    secret: str
    otpauth_uri: str


class RecoveryCodes(msgspec.Struct):
    """Each is good once, in the place of a code. Shown once."""

    recovery_codes: list[str]


class SecondFactorState(msgspec.Struct):
    """Whether logins need a second factor."""

    enabled: bool


RESOURCES: tuple[type, ...] = (EnrolBody, CodeBody, EnrolmentResource, RecoveryCodes, SecondFactorState)
