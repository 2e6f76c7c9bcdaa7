"""Two folders of files named by date → one answer a day; a folder of statements → do they balance and chain?"""

from pathlib import Path

from reconciliation.ties.days import Day, tie, unread
from reconciliation.ties.reading import Unreadable, read_notification, read_report


def tie_folders(reports: Path, details: Path, since: str = "") -> list[Day]:
    """Every date of either folder, in order. Dates before `since` (YYYY-MM-DD) are left single-sided.

    A file that is no report or notification breaks its own day. Raises Unreadable when there is no file at all.
    """
    names = sorted({path.name for folder in (reports, details) for path in folder.glob("*.xml")})
    if not names:
        raise Unreadable(f"no file *.xml in {reports} or {details}")
    return [_day(reports / name, details / name, since) for name in names]


def _day(report: Path, details: Path, since: str) -> Day:
    both = report.exists() and details.exists() and report.stem >= since
    told = None
    try:
        told = read_report(report) if report.exists() else None
        named = read_notification(details) if details.exists() and (both or told is None) else None
    except Unreadable as fault:
        return unread(report.stem, told, str(fault))
    return tie(report.stem, told, named)
