-- Checkouts of several sellers: what the ledger says of them, and orders that nobody has paid yet.

-- How far the results of payment providers are decided.
ALTER TABLE sink_progress ADD COLUMN connector_results_next_offset bigint NOT NULL DEFAULT 0;

-- An entry may begin several items of one kind: a checkout, all of its payment orders. Further item_kinds: 10 payment
-- order, 11 request to a provider.
ALTER TABLE item_events DROP CONSTRAINT item_events_pkey;
ALTER TABLE item_events ADD PRIMARY KEY (shard, ledger_sequence, entry_index, item_kind, item_id);

-- A payment order before its delivery is uncollected, too. refunding_minor: what refunds under way and
-- open disputes have taken out.
ALTER TABLE uncollected_deposits ADD COLUMN refunding_minor bigint NOT NULL DEFAULT 0 CHECK (refunding_minor >= 0);
ALTER TABLE uncollected_deposits DROP CONSTRAINT uncollected_deposits_amount_minor_check;
ALTER TABLE uncollected_deposits ADD CHECK (amount_minor >= 0);
-- What of a dispute was not available to the merchant yet when it was opened.
ALTER TABLE disputes ADD COLUMN uncollected_minor bigint NOT NULL DEFAULT 0 CHECK (uncollected_minor >= 0);
-- What of a refund was not available, so that the rest alone has left the available balance.
ALTER TABLE reserved_legs ADD COLUMN uncollected_minor bigint NOT NULL DEFAULT 0 CHECK (uncollected_minor >= 0);

CREATE OR REPLACE VIEW account_holdings AS
SELECT account_id, sum(held_minor)::bigint AS held_minor, sum(incoming_minor)::bigint AS incoming_minor
FROM (
    SELECT payer AS account_id, remaining_minor AS held_minor, 0 AS incoming_minor FROM holds WHERE is_open
    UNION ALL
    SELECT account_id, 0, amount_minor FROM uncollected_deposits WHERE is_open
    UNION ALL
    SELECT account_id, greatest(-amount_minor - uncollected_minor, 0), greatest(amount_minor, 0)
    FROM reserved_legs WHERE is_open
) AS spoken_for
GROUP BY account_id;

-- What one seller gets of a checkout. status: 0 not started, 1 executing, 2 success, 3 failed. payment_order_id is the
-- caller's, and what the provider recognises a repetition by; order_id is also the id of the journal that pays it in, of
-- the request to the provider, and of the uncollected amount until it is delivered. refunded_minor: with refunds under
-- way.
CREATE TABLE payment_orders (
    order_id uuid PRIMARY KEY,
    checkout_id uuid NOT NULL,
    payment_order_id text NOT NULL,
    provider text NOT NULL,
    buyer text NOT NULL,
    seller uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency char(3) NOT NULL,
    is_on_delivery boolean NOT NULL,
    status smallint NOT NULL,
    reason smallint NOT NULL,
    provider_reference text NOT NULL,
    refunded_minor bigint NOT NULL,
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    entry_index integer NOT NULL,
    CONSTRAINT never_more_than_the_order CHECK (refunded_minor BETWEEN 0 AND amount_minor)
);
CREATE INDEX payment_orders_of_checkout ON payment_orders (checkout_id);
CREATE INDEX payment_orders_by_name ON payment_orders (payment_order_id);
CREATE INDEX payment_orders_of_seller ON payment_orders (seller, opened_at DESC, order_id);

-- What a provider is asked to do before a journal is posted; request_id is the journal's. operation: 1 charge, 4 refund,
-- 5 payout. owner: the checkout, or the account that is paid out. order_id: nil of a payout. attempt: the newest whose
-- result is known, 0 while there is none; outcome, decline and attempt_follows are of that one.
CREATE TABLE provider_requests (
    request_id uuid PRIMARY KEY,
    owner uuid NOT NULL,
    provider text NOT NULL,
    operation smallint NOT NULL,
    order_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency char(3) NOT NULL,
    idempotency_key text NOT NULL,
    attempt integer NOT NULL,
    outcome text NOT NULL,
    attempt_follows boolean NOT NULL,
    decline text NOT NULL,
    provider_reference text NOT NULL,
    is_open boolean NOT NULL,
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    ledger_sequence bigint NOT NULL,
    entry_index integer NOT NULL
);
CREATE INDEX provider_requests_of_owner ON provider_requests (owner, operation, opened_at DESC, request_id);
CREATE INDEX provider_requests_of_order ON provider_requests (order_id, opened_at) WHERE operation = 4;
-- For people: the provider does not tell, and nobody asks it any more.
CREATE INDEX provider_requests_unknown ON provider_requests (changed_at) WHERE is_open AND NOT attempt_follows;

-- A payment order with what has become of its money. ledger_updated: the journal entry is posted; wallet_updated: the
-- seller has it, available or (is_released false) until the delivery; is_done: nothing more will happen by itself.
CREATE VIEW payment_order_states AS
SELECT
    payment_order.*,
    journal.journal_id IS NOT NULL AS ledger_updated,
    (journal.journal_id IS NOT NULL AND leg.is_open IS FALSE) AS wallet_updated,
    (payment_order.status = 3 OR (journal.journal_id IS NOT NULL AND leg.is_open IS FALSE)) AS is_done,
    (leg.is_open IS FALSE AND journal.journal_id IS NOT NULL AND waiting.is_open IS NOT TRUE) AS is_released,
    request.decline
FROM payment_orders AS payment_order
LEFT JOIN journal_entries AS journal ON journal.journal_id = payment_order.order_id
LEFT JOIN reserved_legs AS leg ON leg.journal_id = payment_order.order_id
LEFT JOIN provider_requests AS request ON request.request_id = payment_order.order_id
LEFT JOIN uncollected_deposits AS waiting ON waiting.deposit_id = payment_order.order_id;

-- A checkout: the text by which its caller knows it (NULL where it came straight to Kafka without one), who buys, and
-- whether every order of it is done. kind 32: its payment orders were placed.
CREATE VIEW checkouts AS
SELECT
    state.checkout_id,
    (
        SELECT placed.description FROM account_events AS placed
        WHERE placed.account_id = state.checkout_id AND placed.kind = 32 ORDER BY placed.decided_at LIMIT 1
    ) AS name,
    min(state.buyer) AS buyer,
    array_agg(DISTINCT state.seller) AS sellers,
    min(state.provider) AS provider,
    bool_and(state.is_done) AS is_payment_done,
    min(state.opened_at) AS placed_at
FROM payment_order_states AS state
GROUP BY state.checkout_id;

-- refusal: why the journal was cancelled (a Reason), 0 where it was not.
CREATE VIEW order_refunds AS
SELECT
    request.request_id AS refund_id, request.order_id, request.owner AS checkout_id, request.amount_minor,
    request.currency, request.is_open, request.outcome, request.decline, request.provider_reference, journal.refusal,
    request.opened_at, request.changed_at
FROM provider_requests AS request JOIN journals AS journal ON journal.journal_id = request.request_id
WHERE request.operation = 4;

CREATE VIEW payouts AS
SELECT
    request.request_id AS payout_id, request.owner AS account_id, request.provider, request.amount_minor,
    request.currency, request.is_open, request.outcome, request.decline, request.provider_reference, journal.refusal,
    request.opened_at, request.changed_at
FROM provider_requests AS request JOIN journals AS journal ON journal.journal_id = request.request_id
WHERE request.operation = 5;

-- What somebody ordered: written by the API, before anything of it is in the log. It is paid as the checkout of the same
-- id, or cancelled; once it is on its way to be paid, the ledger alone says what becomes of it.
-- lines: [[seller, amount_minor, currency, description], …].
CREATE TABLE orders (
    order_id uuid PRIMARY KEY,
    lines jsonb NOT NULL,
    ordered_by text NOT NULL,
    ordered_at timestamptz NOT NULL DEFAULT now(),
    checked_out_at timestamptz,
    cancelled_at timestamptz,
    CONSTRAINT paid_or_cancelled CHECK (checked_out_at IS NULL OR cancelled_at IS NULL)
);
