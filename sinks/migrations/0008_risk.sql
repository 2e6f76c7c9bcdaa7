-- What limits and rules said of payments, the limits of accounts, and the rule sets that were in force. Rows are written
-- once, one for each ledger entry that says so.

-- kind: that of the entry (36 an advice: nothing was decided). outcome: 0 allow, 1 review, 2 deny. rule_set: 0 where
-- limits alone applied. rules: those that hit, in shadow mode too. verdict: as the ledger records it
-- (payments.risk.verdict), with reasons, the values of the features that were read, and keyed hashes of card, device
-- and address.
CREATE TABLE verdicts (
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    entry_index integer NOT NULL,
    operation_id uuid NOT NULL,
    kind smallint NOT NULL,
    account_id uuid NOT NULL,
    outcome smallint NOT NULL,
    rule_set integer NOT NULL,
    rules text[] NOT NULL,
    verdict bytea NOT NULL,
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (shard, ledger_sequence, entry_index)
);
CREATE INDEX verdicts_of_operation ON verdicts (operation_id);
CREATE INDEX verdicts_of_account ON verdicts (account_id, decided_at DESC);
CREATE INDEX verdicts_by_rule ON verdicts USING gin (rules);

-- 9223372036854775807 is no limit. tier: 0 unverified, 1 basic, 2 verified, 3 enhanced.
CREATE TABLE risk_terms (
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    entry_index integer NOT NULL,
    account_id uuid NOT NULL,
    per_transaction_minor bigint NOT NULL,
    daily_minor bigint NOT NULL,
    monthly_minor bigint NOT NULL,
    tier smallint NOT NULL,
    set_at timestamptz NOT NULL,
    PRIMARY KEY (shard, ledger_sequence, entry_index)
);
CREATE INDEX risk_terms_of_account ON risk_terms (account_id, ledger_sequence DESC, entry_index DESC);

CREATE VIEW risk_terms_now AS
SELECT DISTINCT ON (account_id) account_id, per_transaction_minor, daily_minor, monthly_minor, tier, set_at
FROM risk_terms ORDER BY account_id, ledger_sequence DESC, entry_index DESC;

-- A version comes into force at each shard by itself.
CREATE TABLE rule_sets (
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    entry_index integer NOT NULL,
    version integer NOT NULL,
    text text NOT NULL,
    set_at timestamptz NOT NULL,
    PRIMARY KEY (shard, ledger_sequence, entry_index)
);
CREATE UNIQUE INDEX rule_sets_of_shard ON rule_sets (shard, version);
