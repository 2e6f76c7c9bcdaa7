"""How far a load has come: `FILE.progress`, written after each batch, and what was refused: `FILE.rejected.ndjson`.

Guarantees: a line counts as done once the API has it; what a kill loses is sent again, under the same keys. Without the
progress file a load begins from the start and pays nothing twice, for the same reason.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from millrace.client.models.money import LineRefusal
from millrace.remote.loading.lines import FileRefused, digest_of


class State(msgspec.Struct):
    """What stands in the progress file. `name`: given to pay the same file again."""

    digest: str
    name: str = ""
    done: int = 0
    accepted: int = 0
    rejected: int = 0
    rejected_bytes: int = 0

    @property
    def keys(self) -> str:
        """How the keys of lines begin that have none of their own: 128 bits of the content, and the name."""
        return f"load-{self.digest[:32]}{'-' + self.name if self.name else ''}"


class Progress:
    """Of one file."""

    def __init__(self, file: Path, anew: str | None) -> None:
        """Raises FileRefused where another content was loaded under this file's name, and not all of it."""
        self._path = file.with_name(file.name + ".progress")
        self.rejected_file = file.with_name(file.name + ".rejected.ndjson")
        digest = digest_of(file)
        found = self._read()
        if found is not None and anew not in (None, found.name):
            found = None
        if found is not None and found.digest != digest:
            raise FileRefused(
                f"{file} has changed since {found.done} of its lines were sent. Restore it to go on; or delete"
                f" {self._path} to send it as another file: lines without an idempotency_key would be paid again."
            )
        self.state = found or State(digest, anew or "")
        self._cut_rejected()

    def note(self, sent: int, accepted: int, refused: Iterable[LineRefusal]) -> None:
        """So many more lines were answered. Refused ones are counted from 1 within these."""
        state = self.state
        with self.rejected_file.open("ab") as opened:
            for refusal in refused:
                opened.write(_refused_line(refusal, state.done + refusal.line))
                state.rejected += 1
            state.rejected_bytes = opened.tell()
        state.done += sent
        state.accepted += accepted
        beside = self._path.with_name(self._path.name + ".new")
        beside.write_bytes(msgspec.json.encode(state))
        beside.replace(self._path)

    def _read(self) -> State | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=State)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError:
            raise FileRefused(f"{self._path} is no progress file: delete it to begin from the start") from None

    def _cut_rejected(self) -> None:
        """What stands behind the last noted batch was written by a run that was killed: it comes again."""
        with self.rejected_file.open("ab") as opened:
            opened.truncate(self.state.rejected_bytes)


def _refused_line(refusal: LineRefusal, number: int) -> bytes:
    shown: dict[str, Any] = msgspec.to_builtins(refusal) | {"line": number}
    return msgspec.json.encode(shown) + b"\n"
