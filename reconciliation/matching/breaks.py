"""What can be wrong between two sides, by name. A break names the lines it is about and how much is at stake."""

from enum import StrEnum


class BreakType(StrEnum):
    """The taxonomy; docs/reconciliation.md says what each one means and what to do."""

    MISSING_INTERNAL = "MISSING_INTERNAL"
    MISSING_EXTERNAL = "MISSING_EXTERNAL"
    AMOUNT_MISMATCH = "AMOUNT_MISMATCH"
    FEE_DIFFERENCE = "FEE_DIFFERENCE"
    FX_DIFFERENCE = "FX_DIFFERENCE"
    CURRENCY_MISMATCH = "CURRENCY_MISMATCH"
    STATUS_MISMATCH = "STATUS_MISMATCH"
    DUPLICATE_INTERNAL = "DUPLICATE_INTERNAL"
    DUPLICATE_EXTERNAL = "DUPLICATE_EXTERNAL"
    TIMING = "TIMING"
    PARTIAL = "PARTIAL"
    TRUNCATED_SOURCE = "TRUNCATED_SOURCE"
    ORPHAN_FEE = "ORPHAN_FEE"
    UNBALANCED_BATCH = "UNBALANCED_BATCH"
    CHAIN_GAP = "CHAIN_GAP"
