-- What a bank is asked about a linked bank account: is it its user's? The API writes a row, the connectors the result.
-- What only the bank may read lies sealed among the user's personal values until then. verification_id: of the account
-- and the code that its bank has given to the user, and the Idempotency-Key of the call.
CREATE TABLE bank_verifications (
    bank_account_id uuid PRIMARY KEY REFERENCES linked_bank_accounts,
    verification_id uuid NOT NULL,
    user_id uuid NOT NULL,
    bank_id uuid NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    taken_at timestamptz,
    result text CHECK (result IN ('match', 'no_match', 'unknown', 'refused', 'unanswered'))
);
CREATE INDEX bank_verifications_open ON bank_verifications (asked_at) WHERE result IS NULL;
