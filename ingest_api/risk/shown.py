"""What is answered to the question how a transfer would be judged."""

from typing import Final

import msgspec

from ingest_api.cases.shown import Findings


class RiskVerdict(msgspec.Struct, omit_defaults=True):
    """`allow`, `review` or `deny`; without `verdict` it is not decided yet. `findings` are for analysts alone."""

    verdict: str | None = None
    code: str | None = None
    decided_at: str | None = None
    findings: Findings | None = None


RESOURCES: Final = (RiskVerdict,)
