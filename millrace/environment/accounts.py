"""Which account a server runs under: ours, or an unprivileged one when we are root (Postgres refuses root)."""

import os
import pwd
import subprocess
from pathlib import Path

from millrace.environment.faults import EnvironmentFault
from millrace.supervisor.service import Account

_PREFERRED = ("postgres", "nobody")
"""Both exist on nearly every system. `nobody` may be shared with other daemons: the password and the folder's mode 0700
keep those out of a running server, but not out of its files, so it comes second."""


def unprivileged() -> Account | None:
    """None = the current user will do. Raises EnvironmentFault when root has nobody to become, or we have no name."""
    if os.geteuid() != 0:
        _require_name()
        return None
    for name in _PREFERRED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise EnvironmentFault(
        "Postgres does not run as root and there is neither an account `postgres` nor `nobody`: start as a normal user,"
        " or set DATABASE_URL to a server that runs already"
    )


def _require_name() -> None:
    """Containers may run under a bare number; initdb looks the name up."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        raise EnvironmentFault(
            f"user id {os.geteuid()} has no entry in /etc/passwd, which Postgres needs: run as a named user,"
            " or set DATABASE_URL to a server that runs already"
        ) from None


def can_use(account: Account | None, path: Path, mode: str = "-x") -> bool:
    """Whether the account can execute (-x), read (-r) or write (-w) that path, asked of the kernel as that account."""
    if account is None:
        return os.access(path, {"-x": os.X_OK, "-r": os.R_OK, "-w": os.W_OK}[mode])
    asked = subprocess.run(
        ["test", mode, path], check=False, cwd="/", user=account.uid, group=account.gid, extra_groups=[]
    )
    return asked.returncode == 0


def give(account: Account | None, path: Path) -> None:
    """Make the account the owner."""
    if account is not None:
        os.chown(path, account.uid, account.gid)
