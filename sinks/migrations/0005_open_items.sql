-- Entries beyond plain payments: journals of n legs, what an entry follows from, and the open items of the books
-- (holds, deposits that may bounce, what was given back of a payment, disputes, debts, journals) as they stand.
-- Items are stated whole by the ledger; a row here is the newest statement, item_events says which entries made it.

ALTER TABLE accounts ADD COLUMN type smallint NOT NULL DEFAULT 0;
-- Every decision about one account alone, journals that it coordinates included; all others stand in decisions.
ALTER TABLE account_events ADD COLUMN description text;

-- 0: the two legs are debit_account and credit_account of the row. Otherwise so many rows of journal_legs are the legs,
-- and the row is their headline (credit_account is nil where a journal names no one account that is paid).
ALTER TABLE journal_entries ADD COLUMN stated_legs smallint NOT NULL DEFAULT 0;
-- The kind of the entry that posts: 2 posted, 17 posted and not collected, 19 an involuntary debit, 20 received by a
-- merchant, 26 a journal of n legs.
ALTER TABLE journal_entries ADD COLUMN kind smallint NOT NULL DEFAULT 2;

CREATE TABLE journal_legs (
    journal_id uuid NOT NULL,
    leg_index smallint NOT NULL,
    account_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    currency char(3) NOT NULL,
    posted_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    ledger_offset bigint NOT NULL,
    entry_index integer NOT NULL,
    PRIMARY KEY (journal_id, leg_index)
);
CREATE INDEX journal_legs_of_account ON journal_legs (account_id, posted_at DESC, journal_id);

-- What an entry follows from: a capture from its hold (0), a refund from its payment (1), from a deposit (2), a dispute
-- (3), a receivable (4), a journal (5), a review (6). code: the network's reason code, or how a dispute ended.
CREATE TABLE causes (
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    entry_index integer NOT NULL,
    operation_id uuid NOT NULL,
    kind smallint NOT NULL,
    cause_kind smallint NOT NULL,
    cause_id uuid NOT NULL,
    code text NOT NULL,
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (shard, ledger_sequence, entry_index)
);
CREATE INDEX causes_of ON causes (cause_id, decided_at);
CREATE INDEX causes_of_operation ON causes (operation_id, kind);

-- Which entries changed an item, in order. item_kind: 0 hold, 1 uncollected deposit, 2 given back, 3 dispute,
-- 4 receivable, 5 leg of a journal, 6 journal, 7 review.
CREATE TABLE item_events (
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    ledger_offset bigint NOT NULL,
    entry_index integer NOT NULL,
    item_kind smallint NOT NULL,
    item_id uuid NOT NULL,
    owner uuid NOT NULL,
    operation_id uuid NOT NULL,
    kind smallint NOT NULL,
    reason smallint NOT NULL,
    amount_minor bigint NOT NULL,
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (shard, ledger_sequence, entry_index, item_kind)
);
CREATE INDEX item_events_of ON item_events (item_id, shard, ledger_sequence, entry_index);

-- In each of the following: opened_at and changed_at are the times of the first and the newest entry that state the
-- item, shard to entry_index the place of the newest one.

-- remaining_minor may still be captured. is_review: it waits for an analyst (see reviews), not for its payee.
CREATE TABLE holds (
    hold_id uuid PRIMARY KEY,
    payer uuid NOT NULL,
    payee uuid NOT NULL,
    remaining_minor bigint NOT NULL CHECK (remaining_minor >= 0),
    captured_minor bigint NOT NULL CHECK (captured_minor >= 0),
    currency char(3) NOT NULL,
    expires_at timestamptz NOT NULL,
    is_open boolean NOT NULL,
    is_review boolean NOT NULL,
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    entry_index integer NOT NULL
);
CREATE INDEX holds_open ON holds (payer) WHERE is_open;
CREATE INDEX holds_of_payer ON holds (payer, opened_at DESC, hold_id);
CREATE INDEX holds_of_payee ON holds (payee, opened_at DESC, hold_id);

-- Posted and not available until it is collected.
CREATE TABLE uncollected_deposits (
    deposit_id uuid PRIMARY KEY,
    account_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency char(3) NOT NULL,
    is_open boolean NOT NULL,
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    entry_index integer NOT NULL
);
CREATE INDEX uncollected_deposits_open ON uncollected_deposits (account_id) WHERE is_open;

-- How much of a received payment was refunded or is disputed.
CREATE TABLE given_back (
    payment_id uuid PRIMARY KEY,
    account_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    refunded_minor bigint NOT NULL CHECK (refunded_minor >= 0),
    disputed_minor bigint NOT NULL CHECK (disputed_minor >= 0),
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    entry_index integer NOT NULL,
    CONSTRAINT never_more_than_the_payment CHECK (refunded_minor + disputed_minor <= amount_minor)
);
CREATE INDEX given_back_of_account ON given_back (account_id, changed_at DESC);

CREATE TABLE disputes (
    dispute_id uuid PRIMARY KEY,
    merchant uuid NOT NULL,
    payment_id uuid NOT NULL,
    customer uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency char(3) NOT NULL,
    is_provisional boolean NOT NULL,
    is_open boolean NOT NULL,
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    entry_index integer NOT NULL
);
CREATE INDEX disputes_of_merchant ON disputes (merchant, opened_at DESC, dispute_id);
CREATE INDEX disputes_of_payment ON disputes (payment_id);

-- What an account owes because an involuntary debit found too little; 0 once it is paid or written off.
CREATE TABLE receivables (
    receivable_id uuid PRIMARY KEY,
    account_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    currency char(3) NOT NULL,
    is_open boolean NOT NULL,
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    entry_index integer NOT NULL
);
CREATE INDEX receivables_of_account ON receivables (account_id, opened_at DESC);
CREATE INDEX receivables_open ON receivables (account_id) WHERE is_open;

-- Legs of journals that wait for the other legs: a debit (negative) has left the available balance, a credit is to come.
CREATE TABLE reserved_legs (
    leg_id uuid PRIMARY KEY,
    account_id uuid NOT NULL,
    journal_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    currency char(3) NOT NULL,
    is_open boolean NOT NULL,
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    entry_index integer NOT NULL
);
CREATE INDEX reserved_legs_open ON reserved_legs (account_id) WHERE is_open;
CREATE INDEX reserved_legs_of_journal ON reserved_legs (journal_id);

-- Journals of which an account of a customer is a leg. awaited: answers still out; refusal: why it was cancelled (a
-- Reason), 0 where nothing hindered it. legs: [[account, amount_minor, currency], …] as they were asked for.
CREATE TABLE journals (
    journal_id uuid PRIMARY KEY,
    account_id uuid NOT NULL,
    legs jsonb NOT NULL,
    awaited smallint NOT NULL,
    refusal smallint NOT NULL,
    is_open boolean NOT NULL,
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    entry_index integer NOT NULL
);
CREATE INDEX journals_of_account ON journals (account_id, opened_at DESC);

-- Payments that a rule holds until people have decided; the hold of the same id sets the amount aside. legs: what will
-- be posted, where legs were stated. approved_by: analysts, in order.
CREATE TABLE reviews (
    hold_id uuid PRIMARY KEY,
    payer uuid NOT NULL,
    legs jsonb NOT NULL,
    approvals_needed smallint NOT NULL,
    approved_by jsonb NOT NULL,
    is_open boolean NOT NULL,
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    entry_index integer NOT NULL
);
CREATE INDEX reviews_open ON reviews (opened_at, hold_id) WHERE is_open;

-- What of an account is spoken for, and what is to come: held_minor has left the available balance and is not posted,
-- incoming_minor is not available yet. Accounts without either have no row.
CREATE VIEW account_holdings AS
SELECT account_id, sum(held_minor)::bigint AS held_minor, sum(incoming_minor)::bigint AS incoming_minor
FROM (
    SELECT payer AS account_id, remaining_minor AS held_minor, 0 AS incoming_minor FROM holds WHERE is_open
    UNION ALL
    SELECT account_id, 0, amount_minor FROM uncollected_deposits WHERE is_open
    UNION ALL
    SELECT account_id, greatest(-amount_minor, 0), greatest(amount_minor, 0) FROM reserved_legs WHERE is_open
) AS spoken_for
GROUP BY account_id;

-- The legs of each journal entry: credits positive, debits negative. The counterparty is the other account of the
-- headline, where there is one.
CREATE OR REPLACE VIEW postings AS
SELECT journal_id, payment_id, debit_account AS account_id, credit_account AS counterparty,
    -amount_minor AS amount_minor, currency, posted_at, shard, ledger_sequence, ledger_offset, entry_index
FROM journal_entries WHERE stated_legs = 0
UNION ALL
SELECT journal_id, payment_id, credit_account, debit_account,
    amount_minor, currency, posted_at, shard, ledger_sequence, ledger_offset, entry_index
FROM journal_entries WHERE stated_legs = 0
UNION ALL
SELECT leg.journal_id, headline.payment_id, leg.account_id,
    nullif(
        CASE leg.account_id
            WHEN headline.debit_account THEN headline.credit_account
            WHEN headline.credit_account THEN headline.debit_account
        END,
        '00000000-0000-0000-0000-000000000000'
    ),
    leg.amount_minor, leg.currency, leg.posted_at, leg.shard, leg.ledger_sequence, leg.ledger_offset, leg.entry_index
FROM journal_legs AS leg JOIN journal_entries AS headline USING (journal_id);

-- A payment with the furthest step it has come to. The journal entry of a payment carries the payment's id. Of the
-- decisions that are payments: reserved (0), rejected (1), posted (2), captured (15), an uncollected deposit (17), an
-- involuntary debit (19), and held (13) where it waits for a review: reserved until people have decided, rejected where
-- they declined (it is then released, 16). Other decisions of holds stand in the table holds.
CREATE OR REPLACE VIEW payments AS
SELECT
    decision.payment_id,
    (CASE
        WHEN journal.journal_id IS NOT NULL THEN 2
        WHEN returned.payment_id IS NOT NULL THEN 4
        WHEN decision.kind = 15 THEN 0
        WHEN decision.kind = 13 THEN CASE WHEN held.is_open THEN 13 WHEN held.captured_minor > 0 THEN 0 ELSE 1 END
        ELSE decision.kind
    END)::smallint AS state,
    coalesce(
        returned.reason,
        CASE WHEN NOT held.is_open THEN CASE WHEN held.captured_minor > 0 THEN 0::smallint ELSE (
            SELECT event.reason FROM item_events AS event WHERE event.item_id = held.hold_id AND event.kind = 16 LIMIT 1
        ) END END,
        decision.reason
    ) AS reason,
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
    returned.ledger_offset AS returned_ledger_offset,
    decision.kind AS decided_kind,
    cause.cause_kind,
    cause.cause_id,
    cause.code AS cause_code,
    coalesce(held.is_open, false) AS is_in_review
FROM decisions AS decision
LEFT JOIN journal_entries AS journal ON journal.journal_id = decision.payment_id
LEFT JOIN returns AS returned ON returned.payment_id = decision.payment_id
LEFT JOIN causes AS cause ON cause.operation_id = decision.payment_id AND cause.kind = decision.kind
LEFT JOIN holds AS held ON decision.kind = 13 AND held.hold_id = decision.payment_id AND held.is_review
WHERE decision.kind IN (0, 1, 2, 17, 19)
    OR (decision.kind = 15 AND cause.cause_kind <> 6)
    OR (decision.kind = 13 AND held.hold_id IS NOT NULL);
