-- What is known about persons, sealed. A subject is a person (or whoever else has a right to be forgotten).
-- No row here holds a readable value: values are sealed under the subject's key, that key is wrapped by one that is not
-- in this database, and digests are keyed hashes.

-- One row per subject, for ever: once erased the key is gone and the row says so. last_version numbers what is stored;
-- counting it up locks the row, so that nothing is stored beside an erasure.
CREATE TABLE subject_keys (
    subject_id uuid PRIMARY KEY,
    wrapping_key text,
    wrapped bytea,
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 16),
    last_version integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    erased_at timestamptz,
    CONSTRAINT key_until_erased
        CHECK ((erased_at IS NULL) = (wrapped IS NOT NULL) AND (wrapped IS NULL) = (wrapping_key IS NULL))
);
CREATE INDEX subject_keys_by_wrapping_key ON subject_keys (wrapping_key);

CREATE TABLE personal_values (
    subject_id uuid NOT NULL REFERENCES subject_keys,
    field text NOT NULL,
    version integer NOT NULL,
    sealed bytea NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subject_id, field)
);

-- Who claims a value. Several may claim it, one at a time has proved it.
CREATE TABLE personal_index (
    digest bytea NOT NULL CHECK (length(digest) = 16),
    subject_id uuid NOT NULL REFERENCES subject_keys,
    index_name text NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT now(),
    proven_at timestamptz,
    PRIMARY KEY (digest, subject_id)
);
CREATE UNIQUE INDEX personal_index_proven ON personal_index (digest) WHERE proven_at IS NOT NULL;
CREATE INDEX personal_index_of_subject ON personal_index (subject_id);

-- The key that made the digests, by its fingerprint: with another one everything would seem unknown.
CREATE TABLE personal_index_key (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 16)
);

-- What was erased, signed (a compact JWS).
CREATE TABLE erasure_certificates (
    subject_id uuid PRIMARY KEY REFERENCES subject_keys,
    certificate text NOT NULL
);
