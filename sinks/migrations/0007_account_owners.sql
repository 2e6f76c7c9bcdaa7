-- Who has which part in an account, many to many. Rows are ended, never changed or deleted, so who could do what at any
-- time can be told; a closed account keeps its rows.
CREATE TABLE account_owners (
    account_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role text NOT NULL CHECK (role IN ('owner', 'co_owner', 'viewer')),
    since timestamptz NOT NULL,
    until timestamptz CHECK (until >= since),
    PRIMARY KEY (account_id, user_id, since)
);
CREATE UNIQUE INDEX account_owners_current ON account_owners (user_id, account_id) WHERE until IS NULL;
CREATE UNIQUE INDEX account_owners_primary ON account_owners (account_id) WHERE role = 'owner' AND until IS NULL;
CREATE INDEX account_owners_of_user ON account_owners (user_id, since DESC, account_id DESC) WHERE until IS NULL;

-- Every change of account_owners, written by its trigger: no change goes without one. actor and request_id come from the
-- settings millrace.actor and millrace.request_id of the transaction, which fails without them.
CREATE TABLE account_owner_changes (
    change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL CHECK (actor <> ''),
    request_id text NOT NULL CHECK (request_id <> ''),
    account_id uuid NOT NULL,
    user_id uuid NOT NULL,
    before jsonb,
    after jsonb NOT NULL
);
CREATE INDEX account_owner_changes_of_account ON account_owner_changes (account_id, change_id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: its rows are history', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER only_appended BEFORE UPDATE OR DELETE OR TRUNCATE ON account_owner_changes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE OR TRUNCATE ON account_owners
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER only_ended BEFORE UPDATE ON account_owners FOR EACH ROW
    WHEN (
        (OLD.account_id, OLD.user_id, OLD.role, OLD.since) IS DISTINCT FROM
            (NEW.account_id, NEW.user_id, NEW.role, NEW.since)
        OR OLD.until IS NOT NULL OR NEW.until IS NULL
    )
    EXECUTE FUNCTION refuse_change();

CREATE FUNCTION note_owner_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO account_owner_changes (actor, request_id, account_id, user_id, before, after)
    VALUES (
        current_setting('millrace.actor'), current_setting('millrace.request_id'), NEW.account_id, NEW.user_id,
        CASE TG_OP WHEN 'UPDATE' THEN to_jsonb(OLD) END, to_jsonb(NEW)
    );
    RETURN NULL;
END $$;
CREATE TRIGGER every_change_is_noted AFTER INSERT OR UPDATE ON account_owners
    FOR EACH ROW EXECUTE FUNCTION note_owner_change();

-- At the end of a transaction an account that has or had owners has its primary one, until it is closed (status 2). One
-- that the sink has not written yet counts as open.
CREATE FUNCTION require_primary_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM account_owners WHERE account_id = NEW.account_id AND role = 'owner' AND until IS NULL
    ) AND NOT EXISTS (SELECT FROM accounts WHERE account_id = NEW.account_id AND status = 2) THEN
        RAISE EXCEPTION 'account % has no primary owner', NEW.account_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'account_owners_primary_while_open';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER account_owners_primary_while_open AFTER INSERT OR UPDATE ON account_owners
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION require_primary_owner();
