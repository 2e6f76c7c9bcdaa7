-- Bank accounts that users have linked. The link itself, its number and whether it is verified are the alias of the same
-- id (kind bank_account): this row has what an alias has no place for. bank_id: the registered bank over whose API it is
-- reached, null where there is none. tries: wrong answers about the two small amounts. verified_by: how.
CREATE TABLE linked_bank_accounts (
    bank_account_id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    bank_id uuid,
    bank_name text NOT NULL,
    bank_phone_number text NOT NULL,
    bank_email text NOT NULL,
    linked_at timestamptz NOT NULL DEFAULT now(),
    deposits_sent_at timestamptz,
    tries smallint NOT NULL DEFAULT 0 CHECK (tries BETWEEN 0 AND 3),
    verified_by text CHECK (verified_by IN ('micro_deposits', 'bank', 'operator'))
);
CREATE INDEX linked_bank_accounts_of_user ON linked_bank_accounts (user_id, linked_at DESC, bank_account_id);

-- What document 0 knows of a user beside the register of users: the token of a debit card, never its number.
CREATE TABLE user_cards (
    user_id uuid PRIMARY KEY,
    debit_card_id text NOT NULL
);
