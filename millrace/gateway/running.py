"""The gateway's process: nginx as a child, and its configuration brought to what the registry says by a reload.

Reads the settings and the registry; writes a folder in the home (configuration, a certificate where none is given).
Guarantees: nginx ends with this process, and this process with nginx; a configuration that nginx refuses is never
loaded; a reload closes no connection before its answer.
"""

import contextlib
import logging
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from grp import getgrgid
from importlib.resources import files
from pathlib import Path
from typing import Final

from millrace.environment.accounts import unprivileged
from millrace.environment.debian import Program, find_program
from millrace.environment.downloads import parse_pinned_list
from millrace.environment.faults import EnvironmentFault
from millrace.environment.layout import Home, cache_of, home_of
from millrace.environment.security.certificates import ensure_gateway_certificate
from millrace.gateway.configuration import Gateway, Upstream, nginx_configuration
from millrace.gateway.upstreams import Watched, settings_upstreams
from millrace.supervisor.child import leash
from runtime.settings import Settings

logger = logging.getLogger(__name__)

STOP_S: Final = 10
"""How long calls under way may take once the gateway is told to end; the API answers those that wait within that."""

_LOOK_S: Final = 1.0
_PAUSE_S: Final = 0.2
"""Between two reloads: each leaves workers behind that have yet to finish."""

_TEST_S: Final = 30


def gateway_of(settings: Settings, upstreams: tuple[Upstream, ...] | None = None) -> Gateway:
    """What the settings say. Raises EnvironmentFault for a certificate without its key."""
    given = settings.gateway_certificate_file, settings.gateway_key_file
    if (given[0] is None) != (given[1] is None):
        raise EnvironmentFault("set MILLRACE_GATEWAY_CERTIFICATE_FILE and MILLRACE_GATEWAY_KEY_FILE both, or neither")
    home = home_of(settings)
    return Gateway(
        host=settings.gateway_host,
        port=settings.gateway_port,
        certificate=(given[0] or home.gateway_certificate).absolute(),
        key=(given[1] or home.gateway_certificate).absolute(),
        folder=home.gateway,
        upstreams=upstreams or settings_upstreams(settings),
        requests_per_s=settings.gateway_requests_per_s,
        connections=settings.gateway_connections,
        trusted_proxies=tuple(filter(None, map(str.strip, settings.gateway_trusted_proxies.split(",")))),
        account=_account(),
    )


def _account() -> str:
    """Workers of a root's nginx are somebody else; they need no file."""
    account = unprivileged() if os.geteuid() == 0 else None
    return f"{pwd.getpwuid(account.uid).pw_name} {getgrgid(account.gid).gr_name}" if account else ""


def find_nginx(settings: Settings) -> Program:
    """Raises DownloadFault, EnvironmentFault."""
    packages = parse_pinned_list((files("millrace.gateway") / "debian_packages.txt").read_text())
    return find_program("nginx", packages, cache_of(settings))


class Nginx:
    """One nginx and its configuration file."""

    def __init__(self, program: Program, home: Home) -> None:
        self._program = program
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self, text: str) -> None:
        """Write the configuration. Raises EnvironmentFault, with nothing changed, where nginx does not take it."""
        tried = self._home.gateway / "tried.conf"
        self._home.write(tried, text.encode())
        asked = subprocess.run(
            [*self._command(tried), "-t", "-q"],
            env=self._environment(),
            capture_output=True,
            timeout=_TEST_S,
            check=False,
        )
        if asked.returncode:
            raise EnvironmentFault(f"nginx refuses its configuration: {asked.stderr.decode(errors='replace').strip()}")
        tried.replace(self._home.gateway_configuration)

    def start(self) -> None:
        self._process = subprocess.Popen(
            [*self._command(self._home.gateway_configuration), "-g", "daemon off;"],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            preexec_fn=leash(signal.SIGTERM),
        )

    def reload(self) -> None:
        """Workers with the new configuration take what comes; those of before finish what they have."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    @property
    def has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def stop(self) -> None:
        """Finish what is under way, for a while."""
        assert self._process is not None
        for number in (signal.SIGQUIT, signal.SIGTERM):
            self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
                return
        self._process.kill()

    def _command(self, configuration: Path) -> list[str]:
        return [str(self._program.executable), "-e", "stderr", "-p", str(self._home.gateway), "-c", str(configuration)]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self._program.environment}


def run(settings: Settings) -> int:
    """Until told to stop; the exit code. Raises EnvironmentFault."""
    nginx = _prepared(settings)
    watched = Watched(settings)
    shown = watched.latest
    nginx.configure(nginx_configuration(gateway_of(settings, shown)))
    with _told_to_stop() as told:
        nginx.start()
        logger.info("sending to %s", _listed(shown))
        while not told and not nginx.has_ended:
            watched.wait(_LOOK_S)
            if watched.look() != shown and _changed(nginx, settings, watched.latest):
                shown = watched.latest
    watched.close()
    if nginx.has_ended:
        return 1
    nginx.stop()
    return 0


def _changed(nginx: Nginx, settings: Settings, upstreams: tuple[Upstream, ...]) -> bool:
    """Whether nginx goes on with these; it is asked again in a second where it does not take them."""
    try:
        nginx.configure(nginx_configuration(gateway_of(settings, upstreams)))
    except (EnvironmentFault, ValueError, subprocess.TimeoutExpired) as fault:
        logger.error("going on as before: %s", fault)
        return False
    nginx.reload()
    logger.info("sending to %s", _listed(upstreams))
    time.sleep(_PAUSE_S)
    return True


def _prepared(settings: Settings) -> Nginx:
    home = home_of(settings)
    home.create()
    home.gateway.mkdir(exist_ok=True)
    if settings.gateway_certificate_file is None:
        ensure_gateway_certificate(home)
    return Nginx(find_nginx(settings), home)


@contextmanager
def _told_to_stop() -> Iterator[list[int]]:
    """Signals that came."""
    told: list[int] = []
    before = {
        number: signal.signal(number, lambda one, _: told.append(one)) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listed(upstreams: tuple[Upstream, ...]) -> str:
    return ", ".join(f"{one.host}:{one.port}" for one in upstreams)
