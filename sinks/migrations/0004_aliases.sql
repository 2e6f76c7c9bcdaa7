-- Names for accounts: a user id, phone number, e-mail address or linked bank account stands for one account per currency.
-- Rows are ended, never changed: which account a name stood for at any time can be told, as long as the person has not
-- been erased (the digest goes, the row stays).
CREATE TABLE aliases (
    alias_id uuid PRIMARY KEY,
    kind text NOT NULL,
    digest bytea,
    subject_id uuid NOT NULL,
    currency char(3) NOT NULL,
    account_id uuid NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz CHECK (valid_to >= valid_from),
    registered_by text NOT NULL,
    ended_by text,
    FOREIGN KEY (digest, subject_id) REFERENCES personal_index (digest, subject_id) ON DELETE SET NULL (digest),
    CONSTRAINT ended_by_somebody CHECK ((valid_to IS NULL) = (ended_by IS NULL))
);
CREATE UNIQUE INDEX aliases_current ON aliases (digest, subject_id, currency) WHERE valid_to IS NULL;
CREATE INDEX aliases_of_account ON aliases (account_id, valid_from DESC, alias_id);
CREATE INDEX aliases_of_subject ON aliases (subject_id, valid_from DESC, alias_id);
CREATE INDEX aliases_of_claim ON aliases (digest, subject_id);

-- Which accounts a call meant when it first named them by alias. request is a hash of who called with which
-- Idempotency-Key; parties a keyed hash of how the accounts were named.
CREATE TABLE alias_pins (
    request bytea PRIMARY KEY CHECK (length(request) = 32),
    parties bytea,
    payer uuid NOT NULL,
    payee uuid NOT NULL,
    payer_by_alias boolean NOT NULL,
    pinned_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX alias_pins_to_sweep ON alias_pins (pinned_at) WHERE parties IS NOT NULL;
