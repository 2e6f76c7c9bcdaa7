-- What the publisher calls the version, where whoever loaded it said so.
ALTER TABLE screening_lists ADD COLUMN label text NOT NULL DEFAULT '';

-- Who is screened: a user (usr_…) or the holder of a linked bank account (als_…), each about one user. The names lie
-- sealed among the personal data of that user; here is a keyed hash of them, the same as in the hits.
-- screened_version: every list version up to it has been compared with these names; null: none yet, so the user waits.
CREATE TABLE screening_parties (
    party_id text PRIMARY KEY,
    user_id uuid NOT NULL,
    schema text NOT NULL CHECK (schema IN ('person', 'organization')),
    fingerprint bytea NOT NULL,
    screened_version bigint,
    named_by text NOT NULL CHECK (named_by <> ''),
    named_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX screening_parties_of_user ON screening_parties (user_id);
CREATE INDEX screening_parties_by_version ON screening_parties (screened_version, party_id);
CREATE INDEX screening_hits_blocking ON screening_hits (subject_id) WHERE status IN (1, 3);

-- Whose accounts may not pay: somebody is not screened yet, or may be on a list, or is.
CREATE VIEW screening_waiting_users AS
SELECT user_id FROM screening_parties WHERE screened_version IS NULL
UNION
SELECT user_id FROM screening_hits JOIN screening_parties ON party_id = subject_id WHERE status IN (1, 3);

-- Everything that was ever decided about a hit, as its status says 2 cleared, 3 confirmed. A confirmed hit is cleared by
-- the second person who says so.
CREATE TABLE screening_decisions (
    decision bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hit bigint NOT NULL REFERENCES screening_hits,
    status smallint NOT NULL CHECK (status IN (2, 3)),
    decided_by text NOT NULL CHECK (decided_by <> ''),
    because text NOT NULL CHECK (because <> ''),
    decided_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX screening_decisions_of_hit ON screening_decisions (hit, decision);

-- Accounts that screening has frozen for debits, and none that an operator has. Written before the instruction is sent.
CREATE TABLE screening_blocks (
    block bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id uuid NOT NULL,
    blocked_at timestamptz NOT NULL DEFAULT now(),
    released_at timestamptz
);
CREATE UNIQUE INDEX screening_blocks_current ON screening_blocks (account_id) WHERE released_at IS NULL;
