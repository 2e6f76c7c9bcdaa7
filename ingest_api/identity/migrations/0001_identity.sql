-- Users, how they prove who they are, and what they may do with that for how long. No row tells who a user is: user name,
-- addresses and the secret of the second factor are personal values (sealed), and whoever is found by one of them is
-- found by a keyed hash. Passwords are argon2id; tokens, client secrets and recovery codes are there as hashes alone.

-- roles: words of ingest_api/identity/roles.py. password_hash: null where somebody else checks the password, or nobody
-- has set one.
CREATE TABLE users (
    user_id uuid PRIMARY KEY,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'closed')),
    roles text[] NOT NULL CHECK (cardinality(roles) > 0),
    password_hash text,
    password_changed_at timestamptz,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX users_by_time ON users (created_at DESC, user_id DESC);

-- Machines that log in with a secret (RFC 6749 §4.4). The secret is 256 random bits, so SHA-256 of it is safe to keep.
CREATE TABLE oauth_clients (
    client_id text PRIMARY KEY,
    secret_hash bytea NOT NULL CHECK (length(secret_hash) = 32),
    scopes text[] NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);

-- One row per login, and a family of refresh tokens each. scopes: what the login asked for, null = all of the roles.
-- authenticated_at: the login; second_factor_at: the last code that was given. A session is never begun again.
CREATE TABLE sessions (
    session_id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users,
    client_id text REFERENCES oauth_clients,
    scopes text[],
    authenticated_at timestamptz NOT NULL DEFAULT now(),
    second_factor_at timestamptz,
    used_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    end_reason text,
    CONSTRAINT ended_for_a_reason CHECK ((ended_at IS NULL) = (end_reason IS NULL))
);
CREATE INDEX sessions_of_user ON sessions (user_id, authenticated_at DESC, session_id DESC) WHERE ended_at IS NULL;
CREATE INDEX sessions_ended ON sessions (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX sessions_expire ON sessions (expires_at);

-- used_at: it was exchanged for the next one; coming again then gives the whole family away. successor_salt: with the
-- token itself it makes the next one, so that a client that lost the answer gets the same answer again for a moment.
CREATE TABLE refresh_tokens (
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    successor_salt bytea,
    CONSTRAINT successor_when_used CHECK ((used_at IS NULL) = (successor_salt IS NULL))
);
CREATE INDEX refresh_tokens_of_session ON refresh_tokens (session_id);

-- last_step: the time step (RFC 6238) of the last code that was taken; none of it or before is taken again.
CREATE TABLE second_factors (
    user_id uuid PRIMARY KEY REFERENCES users,
    enrolled_at timestamptz NOT NULL DEFAULT now(),
    confirmed_at timestamptz,
    last_step bigint NOT NULL DEFAULT 0
);
CREATE TABLE recovery_codes (
    user_id uuid NOT NULL REFERENCES second_factors ON DELETE CASCADE,
    code_digest bytea NOT NULL CHECK (length(code_digest) = 16),
    used_at timestamptz,
    PRIMARY KEY (user_id, code_digest)
);

-- Failed logins in a row, by keyed hashes of what was typed as the user name, and of addresses. There is a row for names
-- that nobody has, too: whoever asks is told the same.
CREATE TABLE login_failures (
    key_digest bytea PRIMARY KEY CHECK (length(key_digest) = 16),
    failures integer NOT NULL,
    locked_until timestamptz NOT NULL DEFAULT 'epoch',
    failed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX login_failures_by_time ON login_failures (failed_at);

-- The access token that PUT /v1/generate_token answers again while it is valid. The token lies sealed among the user's
-- personal values.
CREATE TABLE account_tokens (
    user_id uuid NOT NULL REFERENCES users,
    account_id uuid NOT NULL,
    session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, account_id)
);
