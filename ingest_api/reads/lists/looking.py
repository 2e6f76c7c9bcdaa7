"""Pages of lists with filters that no index has: a page looks at so many rows and no more, and shows what fits.

So every page costs the same, wherever it begins and however rare it is what was asked for. It may be shorter than its
limit, even empty, though more follow: its cursor leads behind what was looked at.
"""

from collections.abc import Sequence
from typing import Any, Final

LOOKED_MAX: Final = 2_000
"""Rows, each with three probes of indexes: 10 ms in memory; on a cold disk, 0.1 ms each, 0.6 s of the 5 that a query
has."""

Row = dict[str, Any]


def looking_query(select: str, order: str, fits: Sequence[str]) -> str:
    """SQL of a page: `select` with its conditions, by index in this `order`; `fits`: what is shown of it.

    Takes the parameters of `how_far`.
    """
    fitting = " AND ".join(fits) or "true"
    return f"""
SELECT * FROM (
    SELECT *, ({fitting}) AS fits, row_number() OVER (ORDER BY {order}) AS place
    FROM ({select} ORDER BY {order} LIMIT %(looked)s) AS near
) AS looked WHERE fits OR place = %(looked)s ORDER BY {order} LIMIT %(rows)s"""


def how_far(limit: int, fits: Sequence[str]) -> dict[str, int]:
    """Parameters: one row more than asked for tells whether there is another page."""
    return {"rows": limit + 1, "looked": LOOKED_MAX if fits else limit + 1}


def cut(rows: list[Row], limit: int) -> tuple[list[Row], Row | None]:
    """What a page shows, and the row behind which the next one begins: None at the end."""
    shown = [row for row in rows if row["fits"]]
    if len(shown) > limit:
        return shown[:limit], shown[limit - 1]
    is_end_of_look = bool(rows) and rows[-1]["place"] == LOOKED_MAX
    return shown, rows[-1] if is_end_of_look else None
