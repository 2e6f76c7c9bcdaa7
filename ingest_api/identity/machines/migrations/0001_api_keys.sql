-- Keys of machines. A call with one speaks for `subject`, with these scopes at most. Rows stay when a key is revoked.

-- algorithm: bearer (the key itself is sent), or how its calls are signed (RFC 9421). prefix: what finds a bearer key.
-- secret_hash: SHA-256 of a bearer key, which holds 256 random bits. public_key: PEM; of hmac-sha256 nothing is kept, its
-- secret follows from the keyring. rolled_to: the key that takes its place.
CREATE TABLE api_keys (
    key_id uuid PRIMARY KEY,
    name text NOT NULL,
    subject text NOT NULL,
    scopes text[] NOT NULL CHECK (cardinality(scopes) > 0),
    algorithm text NOT NULL CHECK (algorithm IN ('bearer', 'hmac-sha256', 'ecdsa-p256-sha256', 'ed25519')),
    prefix text UNIQUE,
    secret_hash bytea CHECK (length(secret_hash) = 32),
    public_key bytea,
    networks cidr[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    rolled_to uuid REFERENCES api_keys,
    CONSTRAINT bearer_by_prefix CHECK ((algorithm = 'bearer') = (prefix IS NOT NULL AND secret_hash IS NOT NULL)),
    CONSTRAINT signed_by_public_key
        CHECK ((algorithm IN ('ecdsa-p256-sha256', 'ed25519')) = (public_key IS NOT NULL))
);
CREATE INDEX api_keys_of_subject ON api_keys (subject, created_at DESC, key_id DESC);

-- Nonces of signed requests, for as long as the request could come again.
CREATE TABLE api_key_nonces (
    key_id uuid NOT NULL,
    nonce_hash bytea NOT NULL CHECK (length(nonce_hash) = 16),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (key_id, nonce_hash)
);
CREATE INDEX api_key_nonces_by_time ON api_key_nonces (expires_at);
