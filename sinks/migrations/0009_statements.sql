-- Balances at a point in time, running balances and statements: what each row did to an account, by time.
-- An account's order is that of the ledger's times; entries of one microsecond follow shard, sequence and index.

-- Both sides of the plain journal entries. The sums need no other page: 1,000,000 entries are added up from the index.
CREATE INDEX journal_entries_of_debit ON journal_entries (debit_account, posted_at) INCLUDE (amount_minor, kind)
    WHERE stated_legs = 0;
CREATE INDEX journal_entries_of_credit ON journal_entries (credit_account, posted_at) INCLUDE (amount_minor, kind)
    WHERE stated_legs = 0;
DROP INDEX journal_legs_of_account;
CREATE INDEX journal_legs_of_account ON journal_legs (account_id, posted_at) INCLUDE (amount_minor, journal_id);
CREATE INDEX returns_of_payer ON returns (payer, returned_at) INCLUDE (amount_minor);
CREATE INDEX item_events_of_owner ON item_events (owner, decided_at);

-- Every leg of an account with its place in the ledger: credits positive, debits negative. Unlike postings it has no
-- counterparty. Each arm is one index and has a name: who wants the first of many in order asks the arms one by one,
-- because Postgres would sort the whole of the union.
CREATE VIEW debit_legs AS
SELECT debit_account AS account_id, posted_at, shard, ledger_sequence, entry_index, 0::smallint AS leg_index,
    journal_id, -amount_minor AS amount_minor
FROM journal_entries WHERE stated_legs = 0;
CREATE VIEW credit_legs AS
SELECT credit_account AS account_id, posted_at, shard, ledger_sequence, entry_index, 0::smallint AS leg_index,
    journal_id, amount_minor
FROM journal_entries WHERE stated_legs = 0;
CREATE VIEW account_legs AS
SELECT * FROM debit_legs
UNION ALL
SELECT * FROM credit_legs
UNION ALL
SELECT account_id, posted_at, shard, ledger_sequence, entry_index, leg_index, journal_id, amount_minor
FROM journal_legs;

-- What entries made available of deposits that may bounce and of orders before their delivery (1), beside what their legs
-- say: collected (18), or taken back before anything of it was available (19), be it by a dispute. What a dispute (3) has
-- taken waits again when the merchant wins it (2) in time.
CREATE VIEW uncollected_moves AS
SELECT event.shard, event.ledger_offset, event.kind, event.item_id, event.owner, event.decided_at,
    coalesce(dispute.uncollected_minor, event.amount_minor) AS available_minor
FROM item_events AS event LEFT JOIN disputes AS dispute ON dispute.dispute_id = event.operation_id
WHERE event.item_kind = 1 AND event.kind IN (18, 19)
UNION ALL
SELECT event.shard, event.ledger_offset, event.kind, event.item_id, event.owner, event.decided_at,
    -dispute.uncollected_minor
FROM item_events AS event
JOIN item_events AS resolved USING (shard, ledger_sequence, entry_index)
JOIN disputes AS dispute ON dispute.dispute_id = resolved.item_id
WHERE event.item_kind = 1 AND event.kind = 2 AND resolved.item_kind = 3;

-- What each entry did to the four figures of an account. Summed over all rows they are balances and account_holdings,
-- so that what happened after a time, taken from these, is what they were at that time.
-- Accounts of the operator (ids below the bound) have nothing set aside: what is available there is what is posted.
CREATE VIEW account_changes AS
-- The debit of a plain entry: it had been reserved, unless it was involuntary (19).
SELECT debit_account AS account_id, posted_at AS changed_at, -amount_minor AS posted_minor,
    CASE WHEN kind = 19 OR debit_account < '00000000-0000-1000-0000-000000000000' THEN -amount_minor ELSE 0::bigint END
        AS available_minor,
    0::bigint AS held_minor, 0::bigint AS incoming_minor
FROM journal_entries WHERE stated_legs = 0
UNION ALL
-- The credit of a plain entry: available, unless it is a deposit that may still bounce (17).
SELECT credit_account, posted_at, amount_minor,
    CASE WHEN kind = 17 THEN 0 ELSE amount_minor END, 0::bigint, CASE WHEN kind = 17 THEN amount_minor ELSE 0 END
FROM journal_entries WHERE stated_legs = 0
UNION ALL
-- A stated leg moves what is available of the account that its entry is about; of others it had been reserved, or is
-- settled when the journal's answer arrives.
SELECT leg.account_id, leg.posted_at, leg.amount_minor,
    CASE
        WHEN leg.account_id < '00000000-0000-1000-0000-000000000000' THEN leg.amount_minor
        WHEN headline.kind = 26 THEN 0
        WHEN leg.account_id = CASE WHEN headline.kind = 19 THEN headline.debit_account ELSE headline.credit_account END
            THEN leg.amount_minor
        ELSE 0
    END, 0::bigint, 0::bigint
FROM journal_legs AS leg JOIN journal_entries AS headline USING (journal_id)
UNION ALL
-- A transfer on its way.
SELECT payer, decided_at, 0::bigint, -amount_minor, 0::bigint, 0::bigint FROM decisions WHERE kind = 0
UNION ALL
SELECT payer, returned_at, 0::bigint, amount_minor, 0::bigint, 0::bigint FROM returns
UNION ALL
-- Holds (0): held (13), raised (14), captured (15), released (16). A final capture gives back what is left over.
SELECT event.owner, event.decided_at, 0::bigint,
    CASE event.kind WHEN 13 THEN -event.amount_minor WHEN 14 THEN -event.amount_minor WHEN 16 THEN event.amount_minor
        ELSE left_over.amount_minor END,
    CASE event.kind WHEN 13 THEN event.amount_minor WHEN 14 THEN event.amount_minor WHEN 16 THEN -event.amount_minor
        ELSE -event.amount_minor - left_over.amount_minor END,
    0::bigint
FROM item_events AS event
JOIN holds AS hold ON hold.hold_id = event.item_id
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN event.kind = 15 AND NOT hold.is_open AND (hold.shard, hold.ledger_sequence, hold.entry_index)
            = (event.shard, event.ledger_sequence, event.entry_index)
        THEN (
            SELECT sum(CASE step.kind WHEN 15 THEN -step.amount_minor ELSE step.amount_minor END)::bigint
            FROM item_events AS step
            WHERE step.item_id = event.item_id AND step.item_kind = 0 AND step.kind IN (13, 14, 15)
        )
        ELSE 0
    END AS amount_minor
) AS left_over
WHERE event.item_kind = 0 AND event.kind IN (13, 14, 15, 16)
UNION ALL
-- Deposits that may bounce, and orders before their delivery.
SELECT owner, decided_at, 0::bigint, available_minor, 0::bigint, -available_minor FROM uncollected_moves
UNION ALL
-- Legs of journals (5): reserved (22), settled (24), released (25). The event's amount is what the available balance moved
-- by, where it moved. A refund of an order may take part of its leg out of what is not collected yet.
SELECT event.owner, event.decided_at, 0::bigint,
    CASE
        WHEN event.kind = 24 AND leg.amount_minor > 0 THEN event.amount_minor
        WHEN event.kind = 22 AND leg.amount_minor < 0 THEN -event.amount_minor
        WHEN event.kind = 25 AND leg.amount_minor < 0 THEN event.amount_minor
        ELSE 0
    END,
    CASE WHEN leg.amount_minor > 0 THEN 0 WHEN event.kind = 22 THEN -leg.amount_minor - leg.uncollected_minor
        ELSE leg.amount_minor + leg.uncollected_minor END,
    CASE
        WHEN event.kind = 22 THEN greatest(leg.amount_minor, 0) - leg.uncollected_minor
        WHEN leg.amount_minor > 0 THEN -event.amount_minor
        WHEN event.kind = 25 THEN -leg.amount_minor - event.amount_minor
        ELSE 0
    END
FROM item_events AS event JOIN reserved_legs AS leg ON leg.leg_id = event.item_id
WHERE event.item_kind = 5 AND event.kind IN (22, 24, 25);
