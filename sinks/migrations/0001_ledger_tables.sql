-- What the sink shows of ledger.entries. The numbers in kind, reason, status, lane and source are the wire values of
-- EntryKind, Reason, AccountStatus, Lane and SourceTopic; words for them stand in the program alone.
-- Every time is the broker's time of the record that was decided, so a rebuild from the log gives equal rows.
-- Rows that state a fact are only ever added. No foreign keys: the decision and the journal entry of one payment come
-- from two partitions in either order.

-- One row per payment: the decision at its authority. kind: 0 reserved, 1 rejected, 2 posted (a deposit, in one step).
-- A second decision under one id is the double payment that must not happen: the key stops the sink.
CREATE TABLE decisions (
    payment_id uuid PRIMARY KEY,
    kind smallint NOT NULL,
    reason smallint NOT NULL,
    payer uuid NOT NULL,
    payee uuid NOT NULL,
    amount_minor bigint NOT NULL,
    currency char(3) NOT NULL,
    decided_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    ledger_offset bigint NOT NULL,
    command_offset bigint NOT NULL,
    command_item integer NOT NULL,
    description text,
    CONSTRAINT decision_moves_money CHECK (kind = 1 OR (amount_minor > 0 AND payer <> payee))
);
CREATE INDEX decisions_by_time ON decisions (decided_at DESC, payment_id);
CREATE INDEX decisions_of_payer ON decisions (payer, decided_at DESC, payment_id);
CREATE INDEX decisions_of_payee ON decisions (payee, decided_at DESC, payment_id);

-- One row per journal entry, both legs: debit_account pays credit_account.
CREATE TABLE journal_entries (
    journal_id uuid PRIMARY KEY,
    payment_id uuid NOT NULL,
    debit_account uuid NOT NULL,
    credit_account uuid NOT NULL,
    amount_minor bigint NOT NULL,
    currency char(3) NOT NULL,
    posted_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    ledger_offset bigint NOT NULL,
    entry_index integer NOT NULL,
    source smallint NOT NULL,
    source_offset bigint NOT NULL,
    source_item integer NOT NULL,
    CONSTRAINT journal_entry_moves_money CHECK (amount_minor > 0 AND debit_account <> credit_account)
);

-- A receiver that could not take the credit; the return follows from the payer's partition.
CREATE TABLE refusals (
    payment_id uuid PRIMARY KEY,
    reason smallint NOT NULL,
    payer uuid NOT NULL,
    payee uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency char(3) NOT NULL,
    refused_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    ledger_offset bigint NOT NULL,
    source smallint NOT NULL,
    source_offset bigint NOT NULL,
    source_item integer NOT NULL
);

-- The payer has the reserved amount back.
CREATE TABLE returns (
    payment_id uuid PRIMARY KEY,
    reason smallint NOT NULL,
    payer uuid NOT NULL,
    payee uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency char(3) NOT NULL,
    returned_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    ledger_offset bigint NOT NULL,
    source smallint NOT NULL,
    source_offset bigint NOT NULL,
    source_item integer NOT NULL
);

-- Account operations, done and rejected; amount_minor is the overdraft limit where the operation sets one.
CREATE TABLE account_events (
    operation_id uuid PRIMARY KEY,
    account_id uuid NOT NULL,
    kind smallint NOT NULL,
    reason smallint NOT NULL,
    amount_minor bigint NOT NULL,
    currency char(3) NOT NULL,
    decided_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    ledger_offset bigint NOT NULL,
    command_offset bigint NOT NULL,
    command_item integer NOT NULL
);
CREATE INDEX account_events_of_account ON account_events (account_id, decided_at DESC);

CREATE TABLE accounts (
    account_id uuid PRIMARY KEY,
    currency char(3) NOT NULL,
    status smallint NOT NULL DEFAULT 0,
    overdraft_limit_minor bigint NOT NULL CHECK (overdraft_limit_minor >= 0),
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL
) WITH (fillfactor = 90);

-- Running sums over the ledger. Half of each page is kept free so that updates stay on it and touch no index.
CREATE TABLE balances (
    account_id uuid PRIMARY KEY,
    currency char(3) NOT NULL,
    posted_minor bigint NOT NULL,
    available_minor bigint NOT NULL,
    changed_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Entries applied, by shard and kind: also those that leave no row (replayed, key reused, quarantined).
CREATE TABLE outcome_counts (
    shard smallint NOT NULL,
    kind smallint NOT NULL,
    entries bigint NOT NULL,
    PRIMARY KEY (shard, kind)
) WITH (fillfactor = 20);

-- How far each shard's ledger is applied, and the fence between writers: a batch is applied only by the writer that
-- finds ledger_next_offset as it left it. The other columns are what the next record must continue.
CREATE TABLE sink_progress (
    shard smallint PRIMARY KEY,
    ledger_next_offset bigint NOT NULL DEFAULT 0,
    ledger_sequence bigint NOT NULL DEFAULT 0,
    commands_next_offset bigint NOT NULL DEFAULT 0,
    credits_next_offset bigint NOT NULL DEFAULT 0,
    returns_next_offset bigint NOT NULL DEFAULT 0,
    last_hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex') CHECK (length(last_hash) = 32)
) WITH (fillfactor = 20);

-- Next sequence number per lane between two shards, as counted at one end (shard) towards the other (peer).
CREATE TABLE sink_lanes (
    shard smallint NOT NULL,
    lane smallint NOT NULL,
    peer smallint NOT NULL,
    next bigint NOT NULL,
    PRIMARY KEY (shard, lane, peer)
) WITH (fillfactor = 20);

-- The two legs of each journal entry: credits positive, debits negative.
CREATE VIEW postings AS
SELECT journal_id, payment_id, debit_account AS account_id, credit_account AS counterparty,
    -amount_minor AS amount_minor, currency, posted_at, shard, ledger_sequence, ledger_offset, entry_index
FROM journal_entries
UNION ALL
SELECT journal_id, payment_id, credit_account, debit_account,
    amount_minor, currency, posted_at, shard, ledger_sequence, ledger_offset, entry_index
FROM journal_entries;

-- A payment with the furthest step it has come to. The journal entry of a payment carries the payment's id.
CREATE VIEW payments AS
SELECT
    decision.payment_id,
    (CASE
        WHEN journal.journal_id IS NOT NULL THEN 2
        WHEN returned.payment_id IS NOT NULL THEN 4
        ELSE decision.kind
    END)::smallint AS state,
    coalesce(returned.reason, decision.reason) AS reason,
    decision.payer,
    decision.payee,
    decision.amount_minor,
    decision.currency,
    decision.description,
    decision.decided_at,
    journal.posted_at,
    returned.returned_at,
    decision.shard,
    decision.ledger_sequence,
    decision.ledger_offset,
    decision.command_offset,
    decision.command_item,
    journal.journal_id,
    journal.shard AS posted_shard,
    journal.ledger_sequence AS posted_ledger_sequence,
    journal.ledger_offset AS posted_ledger_offset,
    returned.shard AS returned_shard,
    returned.ledger_sequence AS returned_ledger_sequence,
    returned.ledger_offset AS returned_ledger_offset
FROM decisions AS decision
LEFT JOIN journal_entries AS journal ON journal.journal_id = decision.payment_id
LEFT JOIN returns AS returned ON returned.payment_id = decision.payment_id;
