"""`python -m schemas lock`: give new schema files an id. Refuses where a released file was edited."""

import json
import sys
from pathlib import Path

from schemas.registry import fingerprint

FOLDER = Path(__file__).parent / "avro"
LOCK = FOLDER / "lock.json"


def lock_rows() -> list[dict[str, object]]:
    """The lock as it has to be: known files under their ids, new ones behind. Raises SystemExit on an edited file."""
    rows: list[dict[str, object]] = json.loads(LOCK.read_text()) if LOCK.exists() else []
    known = {(row["record"], row["version"]): row for row in rows}
    for path in sorted(FOLDER.glob("*/*.avsc"), key=lambda path: (path.parent.name, int(path.stem))):
        digest = fingerprint(path.read_text())
        row = known.get((path.parent.name, int(path.stem)))
        if row is None:
            rows.append({"id": len(rows) + 1, "record": path.parent.name, "version": int(path.stem), "sha256": digest})
        elif row["sha256"] != digest:
            raise SystemExit(
                f"{path.parent.name}/{path.name} was released and may not change: add version {path.stem}+1"
            )
    return rows


def main() -> None:
    if sys.argv[1:] not in (["lock"], ["check"]):
        raise SystemExit("usage: python -m schemas lock | check")
    rows = lock_rows()
    text = json.dumps(rows, indent=1) + "\n"
    if sys.argv[1] == "lock":
        LOCK.write_text(text)
    elif LOCK.read_text() != text:
        raise SystemExit("schemas/avro/lock.json is behind the schema files: run `python -m schemas lock`")


if __name__ == "__main__":
    main()
