-- Look-ups that reconciliation asks for where it has no provider's keys. The connectors carry them out and write what was
-- said to recon_provider_states. The request is asked about as the ledger made it, at that place, or by the name that the
-- provider gave it (provider_reference). taken_at: since when the connectors ask; answered_at: when that was over;
-- refusal: why nothing was learnt. Asked again, it is the same row.
CREATE TABLE recon_questions (
    request_id uuid PRIMARY KEY,
    ledger_shard smallint NOT NULL,
    ledger_offset bigint NOT NULL,
    entry_index integer NOT NULL,
    provider_reference text NOT NULL,
    asked_by text NOT NULL CHECK (asked_by <> ''),
    asked_at timestamptz NOT NULL DEFAULT now(),
    taken_at timestamptz,
    answered_at timestamptz,
    refusal text NOT NULL DEFAULT ''
);
CREATE INDEX recon_questions_open ON recon_questions (asked_at) WHERE answered_at IS NULL;
