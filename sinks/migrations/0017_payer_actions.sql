-- Where the payer of a payment order acts at its provider (3-D Secure), while it waits for that: written by the connectors,
-- gone when it has ended. Whoever has the address acts as the payer, so it is no part of the ledger, which is kept.
CREATE TABLE payer_actions (
    request_id uuid PRIMARY KEY,
    url text NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now()
);
