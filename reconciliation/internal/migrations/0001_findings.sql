-- Internal reconciliation: payment service, ledger, wallets, connector attempts and providers against each other. Its
-- runs and breaks are those of the rule set `internal` in recon_runs and recon_breaks, which break_id names.

-- What a provider said when it was last asked about a request. outcome: a word of connectors.results; has_trace is false
-- where it knows nothing of it. moved_minor: what it says it has moved, where it says so.
CREATE TABLE recon_provider_states (
    request_id uuid PRIMARY KEY,
    asked_at timestamptz NOT NULL,
    outcome text NOT NULL,
    has_trace boolean NOT NULL,
    provider_reference text NOT NULL,
    provider_code text NOT NULL,
    moved_minor bigint,
    moved_currency text NOT NULL
);

-- What a break is about, as its newest run found it: a request to a provider or an account (a wallet).
-- legs: of the journal that would put it right, [[account, amount_minor, currency], …]. attempt: the newest known one.
-- ledger_shard, ledger_offset, entry_index: where the ledger asked the provider.
CREATE TABLE recon_findings (
    break_id uuid PRIMARY KEY,
    subject_id uuid NOT NULL,
    severity text NOT NULL CHECK (severity IN ('low', 'medium', 'high')),
    repair text NOT NULL CHECK (repair IN ('inquire', 'replay_result', 'adjust', 'none')),
    legs jsonb NOT NULL,
    attempt integer NOT NULL,
    ledger_shard smallint,
    ledger_offset bigint,
    entry_index integer
);

-- Attempts that reconciliation asks for, sent by the connectors: the request as the ledger made it, at that place, with
-- another attempt number. refusal: why it can't be sent.
CREATE TABLE recon_inquiries (
    request_id uuid NOT NULL,
    attempt integer NOT NULL CHECK (attempt > 1),
    break_id uuid NOT NULL,
    ledger_shard smallint NOT NULL,
    ledger_offset bigint NOT NULL,
    entry_index integer NOT NULL,
    asked_by text NOT NULL CHECK (asked_by <> ''),
    asked_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    refusal text NOT NULL DEFAULT '',
    PRIMARY KEY (request_id, attempt)
);
CREATE INDEX recon_inquiries_to_send ON recon_inquiries (asked_at) WHERE sent_at IS NULL AND refusal = '';
CREATE INDEX recon_inquiries_of_break ON recon_inquiries (break_id, attempt);
