"""What leads to another page than the one that was asked for: each is raised, and shown in one place (app.py)."""

from typing import Final

import msgspec

from console.installation import Answered


class SignInNeeded(Exception):
    """Nobody is signed in, or not any more. `after`: where to go on."""

    def __init__(self, after: str) -> None:
        super().__init__(after)
        self.after = after


class NotLive(Exception):
    """A page has asked by itself for so long that its access token is over."""


class Refused(Exception):
    """It can't be done, or can't be shown. `errors`: of single fields."""

    def __init__(self, status: int, title: str, detail: str, errors: tuple[str, ...] = (), code: str = "") -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.errors, self.code = status, title, detail, errors, code


class _FieldError(msgspec.Struct):
    pointer: str
    detail: str


class _Problem(msgspec.Struct):
    title: str
    detail: str
    code: str
    errors: list[_FieldError] = []


_PROBLEM: Final = msgspec.json.Decoder(_Problem)


def not_found(what: str) -> Refused:
    """404 in words."""
    return Refused(404, f"No such {what}", "Check the address: the lists show what there is.")


def refusal_of(answered: Answered) -> Refused:
    """What the API said against it (RFC 9457)."""
    problem = _PROBLEM.decode(answered.content)
    errors = tuple(f"{one.pointer}: {one.detail}" for one in problem.errors)
    return Refused(answered.status, problem.title, problem.detail, errors, problem.code)
