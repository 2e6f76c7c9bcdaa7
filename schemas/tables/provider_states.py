"""The table recon_provider_states as those write it who have asked a provider: the connectors, and a run that asks."""

from typing import Final

KEEP: Final = """
INSERT INTO recon_provider_states (request_id, asked_at, outcome, has_trace, provider_reference, provider_code,
    moved_minor, moved_currency)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (request_id) DO UPDATE SET asked_at = EXCLUDED.asked_at, outcome = EXCLUDED.outcome,
    has_trace = EXCLUDED.has_trace, provider_reference = EXCLUDED.provider_reference,
    provider_code = EXCLUDED.provider_code, moved_minor = EXCLUDED.moved_minor, moved_currency = EXCLUDED.moved_currency
WHERE recon_provider_states.asked_at <= EXCLUDED.asked_at"""
"""What was said last stands."""
