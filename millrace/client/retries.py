"""When a call is made again, and after how long: pure.

Guarantees: a write is repeated only under one idempotency key, or where nothing can have been taken; the waits are
bounded in number and in sum; whoever gives up knows whether something may have been taken.
"""

from dataclasses import dataclass
from typing import Final

from millrace.client.exchange import NoAnswer, Response
from millrace.client.faults import code_of, retry_after_s

_PASSING: Final = frozenset({429, 500, 502, 503, 504})
_REFUSED_AT_THE_DOOR: Final = frozenset({401, 403, 429})
_NOTHING_TAKEN: Final = frozenset({"queue_full", "not_yet_visible", "directory_unavailable"})
"""Codes of 503 that are answered before anything is handed on. With any other the request may have been taken."""


@dataclass(frozen=True)
class RetryPolicy:
    """At most `attempts` calls within `total_s`. Before attempt n + 1 a pause between half and all of
    `first_pause_s` × 2ⁿ⁻¹, at most `pause_max_s`, and never less than Retry-After asks for.

    The default waits 0.2 to 0.4, 0.4 to 0.8, 0.8 to 1.6 and 1.6 to 3.2 s: a worker that was killed decides again after
    about 3 s.
    """

    attempts: int = 5
    first_pause_s: float = 0.4
    pause_max_s: float = 8.0
    total_s: float = 60.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.first_pause_s < 0 or self.pause_max_s < self.first_pause_s:
            raise ValueError("attempts ≥ 1 and 0 ≤ first_pause_s ≤ pause_max_s")

    def pause_s(self, attempt: int, chance: float, asked_s: int | None) -> float:
        """After attempt number `attempt` (from 1); `chance` in [0, 1) spreads callers that failed together."""
        whole: float = min(self.first_pause_s * 2 ** (attempt - 1), self.pause_max_s)
        return max(whole * (0.5 + chance / 2), float(asked_s or 0))


class Attempts:
    """The attempts of one call so far. `is_write`: it may change something; `is_repeatable`: twice is once."""

    def __init__(self, policy: RetryPolicy, started_s: float, *, is_write: bool, is_repeatable: bool) -> None:
        self._policy = policy
        self._started_s = started_s
        self._is_write = is_write
        self._is_repeatable = is_repeatable
        self._made = 0
        self.in_doubt = False
        """Something may have been taken, and no answer since has said what."""

    def pause_after(self, answer: Response | NoAnswer, now_s: float, chance: float) -> float | None:
        """Note an answer: the seconds to wait before the next attempt, or None where this answer is the last."""
        self._made += 1
        if settles(answer):
            self.in_doubt = False
            return None
        self.in_doubt = self.in_doubt or (self._is_write and may_have_been_taken(answer))
        if not is_passing(answer):
            return None
        if self._made >= self._policy.attempts or (self.in_doubt and not self._is_repeatable):
            return None
        asked_s = retry_after_s(answer) if isinstance(answer, Response) else None
        pause_s = self._policy.pause_s(self._made, chance, asked_s)
        return pause_s if now_s + pause_s - self._started_s <= self._policy.total_s else None


def is_passing(answer: Response | NoAnswer) -> bool:
    """Another attempt may fare better."""
    return isinstance(answer, NoAnswer) or answer.status in _PASSING


def settles(answer: Response | NoAnswer) -> bool:
    """It says what became of the request. One at the door (401, 403, 429) says nothing of the attempts before it."""
    return isinstance(answer, Response) and answer.status < 500 and answer.status not in _REFUSED_AT_THE_DOOR


def may_have_been_taken(answer: Response | NoAnswer) -> bool:
    """By this attempt, for all that is known."""
    if isinstance(answer, NoAnswer):
        return answer.may_have_arrived
    return answer.status >= 500 and code_of(answer) not in _NOTHING_TAKEN
