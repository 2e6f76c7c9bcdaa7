-- What people find out of requests that their providers leave open, and what providers keep.

-- What the provider keeps for a request, minor units of the fee's currency; below 0 it gives back. Empty currency: not told.
ALTER TABLE provider_requests ADD COLUMN fee_minor bigint NOT NULL DEFAULT 0;
ALTER TABLE provider_requests ADD COLUMN fee_currency text NOT NULL DEFAULT '';

-- settled_by: one person has proposed it, two have settled it. contradiction: what the provider has said since, where it
-- is something else; empty otherwise. Not open: the provider has answered what was only proposed, or it is long ago.
CREATE TABLE attempt_settlements (
    request_id uuid PRIMARY KEY,
    owner uuid NOT NULL,
    is_succeeded boolean NOT NULL,
    provider_reference text NOT NULL,
    settled_by jsonb NOT NULL,
    contradiction text NOT NULL,
    is_open boolean NOT NULL,
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    entry_index integer NOT NULL
);
-- For reconciliation: money that moved otherwise than the books say.
CREATE INDEX attempt_settlements_contradicted ON attempt_settlements (changed_at) WHERE contradiction <> '';
