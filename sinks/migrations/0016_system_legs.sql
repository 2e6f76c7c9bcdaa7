-- no-transaction
-- The same for legs of journals.
CREATE INDEX CONCURRENTLY IF NOT EXISTS journal_legs_of_system ON journal_legs (shard, ledger_sequence)
WHERE account_id < '00000000-0000-0001-0000-000000000000'
