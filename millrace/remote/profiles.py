"""Which API a command calls, and as whom: a profile of a file that nobody else may read, or the installation here.

    # ~/.config/millrace/profiles.toml, chmod 600
    [default]
    url = "https://pay.example"
    api_key = "mk_…"

A profile has `url` and one of: `api_key`; `token`; `client_id` and `client_secret`; `username` (with `password`, or it
is asked for; so are codes of an app); `key_id`, `algorithm` and `private_key_file` for signed requests.
"""

import os
import stat
import tomllib
from pathlib import Path
from typing import Any, Final, NamedTuple

import typer

from millrace.client.credentials import ApiKey, Bearer, ClientCredentials, Credentials, Grant, Password
from millrace.client.signatures import SignedRequests

DEFAULT: Final = "default"
_FORMS: Final[tuple[frozenset[str], ...]] = (
    frozenset({"api_key"}),
    frozenset({"token"}),
    frozenset({"client_id", "client_secret"}),
    frozenset({"username"}),
    frozenset({"username", "password"}),
    frozenset({"key_id", "algorithm", "private_key_file"}),
)


class ProfileRefused(Exception):
    """What is wrong with a profile, and what to do."""


class Profile(NamedTuple):
    """Where and who."""

    url: str
    credentials: Credentials | Grant


def profiles_file() -> Path:
    """MILLRACE_PROFILES, or `millrace/profiles.toml` in the user's folder for configuration."""
    named = os.environ.get("MILLRACE_PROFILES")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "millrace" / "profiles.toml"


def chosen(url: str | None, name: str | None) -> Profile:
    """The profile that was named, or the default one, or the installation that runs here; `url` wins over any.

    Raises ProfileRefused, NotRunning.
    """
    file = profiles_file()
    if name is None and not (url is None and _has_default(file)):
        return _local(url)
    profile = _read(file, name or DEFAULT)
    return profile._replace(url=url) if url is not None else profile


def _has_default(file: Path) -> bool:
    return file.exists() and DEFAULT in _tables(file)


def _read(file: Path, name: str) -> Profile:
    tables = _tables(file)
    if name not in tables:
        raise ProfileRefused(f"{file} has no profile {name}; it has: {', '.join(sorted(tables)) or 'none'}")
    fields = {key: value for key, value in tables[name].items() if key != "url"}
    url = tables[name].get("url")
    if not isinstance(url, str) or not all(isinstance(value, str) for value in fields.values()):
        raise ProfileRefused(f"profile {name} of {file} needs a url, and texts in quotes")
    if fields.keys() not in _FORMS:
        forms = "; ".join(" and ".join(sorted(form)) for form in _FORMS)
        raise ProfileRefused(f"profile {name} of {file} needs beside its url one of: {forms}")
    return Profile(url, _credentials(fields))


def _tables(file: Path) -> dict[str, Any]:
    """Raises ProfileRefused for a file that is not there, not TOML, or not its owner's alone."""
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno())
            if stat.S_IMODE(mode.st_mode) & 0o077 or mode.st_uid != os.geteuid():
                raise ProfileRefused(f"{file} has secrets that others can read: chmod 600 {file}, owned by you")
            tables = tomllib.load(opened)
    except OSError as error:
        raise ProfileRefused(f"{file} can't be read ({error.strerror}): docs/client.md tells what is in it") from None
    except tomllib.TOMLDecodeError as error:
        raise ProfileRefused(f"{file}: {error}") from None
    return {name: table for name, table in tables.items() if isinstance(table, dict)}


def _credentials(fields: dict[str, str]) -> Credentials | Grant:
    if "api_key" in fields:
        return ApiKey(fields["api_key"])
    if "token" in fields:
        return Bearer(fields["token"])
    if "client_id" in fields:
        return ClientCredentials(fields["client_id"], fields["client_secret"])
    if "key_id" in fields:
        return _signing(fields)
    name = fields["username"]
    return Password(
        name, fields.get("password") or _asked(f"Password of {name}"), otp=lambda: _asked("Code of the app")
    )


def _signing(fields: dict[str, str]) -> SignedRequests:
    file, algorithm = Path(fields["private_key_file"]).expanduser(), fields["algorithm"]
    if algorithm not in {"ed25519", "ecdsa-p256-sha256", "hmac-sha256"}:
        raise ProfileRefused(f"{algorithm} is none of ed25519, ecdsa-p256-sha256, hmac-sha256")
    try:
        return SignedRequests(fields["key_id"], algorithm, file.read_text())  # type: ignore[arg-type]  # just checked
    except OSError as error:
        raise ProfileRefused(f"{file}: {error.strerror}") from None


def _asked(what: str) -> str:
    answer: str = typer.prompt(what, hide_input=True, err=True)
    return answer


def _local(url: str | None) -> Profile:
    """The installation in MILLRACE_HOME, with its own key. Raises NotRunning."""
    from millrace.environment.connection import running_supervisor
    from millrace.environment.faults import NotRunning
    from millrace.environment.layout import home_of, read_addresses
    from millrace.remote.local_token import LocalToken
    from runtime.settings import Settings

    settings = Settings()
    home = home_of(settings)
    addresses = read_addresses(home)
    if addresses is None or addresses.api_url is None or running_supervisor(home) is None:
        wanted = f"{url} needs --profile" if url else "nothing runs here: `millrace up`, or name an API with --profile"
        raise NotRunning(f"{wanted} ({profiles_file()})")
    if url is not None and url.rstrip("/") != addresses.api_url.rstrip("/"):
        raise ProfileRefused(f"{url} is not the installation here ({addresses.api_url}): who calls? Give --profile")
    return Profile(addresses.api_url, LocalToken(settings))
