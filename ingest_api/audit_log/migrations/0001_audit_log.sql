-- Who did what, for ever. Rows of both tables are only added. A row of audit_entries is written in the transaction of what
-- it tells of; its place in the chain (audit_seals) follows within a second, so that no two callers wait for one head.

-- actor: a user or service, null where nobody was known. credential: the API key that was used, null for a token. action:
-- a word, or method and route of a call. object, before, after: ids, words and numbers, never what is about a person.
CREATE TABLE audit_entries (
    entry_id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text,
    credential text,
    action text NOT NULL CHECK (action <> ''),
    object text,
    before jsonb,
    after jsonb,
    request_id text NOT NULL CHECK (request_id <> '')
);
CREATE INDEX audit_entries_by_time ON audit_entries (at DESC, entry_id DESC);
CREATE INDEX audit_entries_of_actor ON audit_entries (actor, at DESC, entry_id DESC);
CREATE INDEX audit_entries_of_action ON audit_entries (action, at DESC, entry_id DESC);
CREATE INDEX audit_entries_of_object ON audit_entries (object, at DESC, entry_id DESC) WHERE object IS NOT NULL;
CREATE INDEX audit_entries_of_request ON audit_entries (request_id);

-- position: 1, 2, 3 … without a gap. hash: SHA-256 over the hash before, the position and the whole entry.
CREATE TABLE audit_seals (
    position bigint PRIMARY KEY CHECK (position > 0),
    entry_id uuid NOT NULL UNIQUE,
    previous_hash bytea NOT NULL CHECK (length(previous_hash) = 32),
    hash bytea NOT NULL CHECK (length(hash) = 32)
);

-- What is not in the chain yet. Order of commit is not order of time, so no watermark over audit_entries would do.
CREATE TABLE audit_unsealed (entry_id uuid PRIMARY KEY);

CREATE FUNCTION audit_entries_to_seal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_unsealed SELECT entry_id FROM added;
    RETURN NULL;
END $$;
CREATE TRIGGER every_entry_is_sealed AFTER INSERT ON audit_entries REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION audit_entries_to_seal();

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: the audit log is only added to', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER only_appended BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER only_appended BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- The role that owns the tables, too: it would have to grant itself the right first. No foreign key from seals to entries,
-- because checking one locks rows, and that needs the right to change them.
REVOKE UPDATE, DELETE, TRUNCATE ON audit_entries, audit_seals FROM PUBLIC, CURRENT_USER;
