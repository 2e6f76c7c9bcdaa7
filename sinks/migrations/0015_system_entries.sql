-- no-transaction
-- Entries of accounts of the operator (eight zero bytes in front) in the order of the ledger: reconciliation follows them
-- by position. Payments between customers are not in it and pay nothing for it.
CREATE INDEX CONCURRENTLY IF NOT EXISTS journal_entries_of_system ON journal_entries (shard, ledger_sequence)
WHERE debit_account < '00000000-0000-0001-0000-000000000000' OR credit_account < '00000000-0000-0001-0000-000000000000'
