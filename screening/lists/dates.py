"""Dates of birth as lists write them → ISO 8601, as exact as they are known."""

import re
from typing import Final

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY_FIRST: Final = re.compile(r"(?:circa )?(?:(?:(\d{1,2}) )?([a-z]{3})[a-z]* )?(\d{4})")
_BETWEEN: Final = re.compile(r"(?:circa )?(\d{4})(?:-| to )(?:circa )?(\d{4})")
_ISO: Final = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2})?)?")


def birth_date(text: str) -> str | None:
    """`12 May 1960` → `1960-05-12`, `circa 1960` → `1960`, `1958 to 1962` → `1958/1962`; None for anything else."""
    plain = " ".join(text.lower().split())
    if _ISO.fullmatch(plain):
        return plain
    if between := _BETWEEN.fullmatch(plain):
        return f"{between[1]}/{between[2]}"
    found = _DAY_FIRST.fullmatch(plain)
    if found is None:
        return None
    day, month, year = found.groups()
    if month is None:
        return year
    if month not in _MONTHS:
        return None
    return f"{year}-{_MONTHS.index(month) + 1:02}" + (f"-{int(day):02}" if day else "")
