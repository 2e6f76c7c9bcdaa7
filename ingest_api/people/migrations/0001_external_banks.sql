-- Banks that are called over their API. What we authenticate with lies sealed among personal_values: the bank is the
-- subject, `credentials` the field.
CREATE TABLE external_banks (
    bank_id uuid PRIMARY KEY,
    bank_name text NOT NULL,
    api_url text NOT NULL,
    registered_by text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now()
);

-- What the ledger does not know of a payout or a charge over a bank: which bank account it is about. Written before the
-- command is sent; what became of it, the ledger alone says. transfer_id: the payout's id, or the payment order's of a
-- collection.
CREATE TABLE bank_transfers (
    transfer_id uuid PRIMARY KEY,
    bank_id uuid NOT NULL REFERENCES external_banks,
    bank_account_id uuid NOT NULL,
    account_id uuid NOT NULL,
    is_collection boolean NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency char(3) NOT NULL,
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX bank_transfers_of_account ON bank_transfers (account_id, asked_at DESC, transfer_id);
