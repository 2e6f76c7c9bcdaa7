-- Breaks over time. A row is never deleted; its id says what it is about (reconciliation/breaks/identity.py). status, type:
-- the words of reconciliation/breaks/machine.py and matching/breaks.py. day: of its oldest line. due_on: the last day of
-- its SLA. after_sign_off: it appeared, changed or came back in a period that was signed.
CREATE TABLE recon_breaks (
    break_id uuid PRIMARY KEY,
    rule_set text NOT NULL,
    type text NOT NULL,
    status text NOT NULL,
    is_live boolean NOT NULL,
    reason text NOT NULL,
    keys jsonb NOT NULL,
    difference_minor bigint NOT NULL,
    value_minor bigint GENERATED ALWAYS AS (abs(difference_minor)) STORED,
    currency text NOT NULL,
    day date NOT NULL,
    due_on date NOT NULL,
    internal text[] NOT NULL,
    external bigint[] NOT NULL,
    owner text NOT NULL DEFAULT '',
    after_sign_off boolean NOT NULL DEFAULT false,
    opened_run uuid NOT NULL REFERENCES recon_runs,
    seen_run uuid NOT NULL REFERENCES recon_runs,
    opened_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX recon_breaks_live_by_value ON recon_breaks (value_minor DESC, break_id DESC) WHERE is_live;
CREATE INDEX recon_breaks_live_by_age ON recon_breaks (day, break_id) WHERE is_live;
CREATE INDEX recon_breaks_by_value ON recon_breaks (value_minor DESC, break_id DESC);
CREATE INDEX recon_breaks_by_age ON recon_breaks (day, break_id);
CREATE INDEX recon_breaks_of_rules ON recon_breaks (rule_set, day) WHERE is_live;

-- Everything that ever happened to a break: who, when, why, from which status to which.
CREATE TABLE recon_break_events (
    event bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    break_id uuid NOT NULL REFERENCES recon_breaks,
    at timestamptz NOT NULL DEFAULT now(),
    by text NOT NULL CHECK (by <> ''),
    action text NOT NULL,
    before text NOT NULL,
    after text NOT NULL,
    because text NOT NULL,
    told jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX recon_break_events_of ON recon_break_events (break_id, event);

CREATE TABLE recon_attachments (
    attachment_id uuid PRIMARY KEY,
    break_id uuid NOT NULL REFERENCES recon_breaks,
    name text NOT NULL,
    media_type text NOT NULL,
    sha256 bytea NOT NULL,
    content bytea NOT NULL,
    attached_by text NOT NULL,
    attached_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX recon_attachments_of ON recon_attachments (break_id, attached_at);

-- What somebody wants to do about a break. kind: adjust and write_off are journals, explain moves nothing.
-- legs: [[account, amount_minor, currency], …] (credits positive). decision: '' while it waits for a second person.
CREATE TABLE recon_proposals (
    proposal_id uuid PRIMARY KEY,
    break_id uuid NOT NULL REFERENCES recon_breaks,
    kind text NOT NULL CHECK (kind IN ('adjust', 'write_off', 'explain')),
    reason_code text NOT NULL CHECK (reason_code <> ''),
    because text NOT NULL CHECK (because <> ''),
    legs jsonb NOT NULL,
    difference_minor bigint NOT NULL,
    proposed_by text NOT NULL,
    proposed_at timestamptz NOT NULL DEFAULT now(),
    decision text NOT NULL DEFAULT '' CHECK (decision IN ('', 'approved', 'rejected', 'withdrawn')),
    decided_by text NOT NULL DEFAULT '',
    decided_at timestamptz,
    journal_id uuid,
    outcome text NOT NULL DEFAULT '',
    CONSTRAINT four_eyes CHECK (decision <> 'approved' OR decided_by <> proposed_by OR proposed_by LIKE 'rules:%'),
    CONSTRAINT explains_without_a_journal CHECK (kind <> 'explain' OR (legs = '[]' AND journal_id IS NULL))
);
CREATE UNIQUE INDEX recon_proposals_one_waits ON recon_proposals (break_id) WHERE decision = '';
CREATE INDEX recon_proposals_of ON recon_proposals (break_id, proposed_at);
CREATE INDEX recon_proposals_to_post ON recon_proposals (decided_at) WHERE decision = 'approved' AND outcome = '';

-- A controller's name under a result. The days of a run that is signed are locked until the signature is taken back.
CREATE TABLE recon_sign_offs (
    sign_off_id uuid PRIMARY KEY,
    run_id uuid NOT NULL REFERENCES recon_runs,
    rule_set text NOT NULL,
    first_day date,
    last_day date NOT NULL,
    result_hash bytea NOT NULL,
    live_breaks integer NOT NULL,
    note text NOT NULL,
    signed_by text NOT NULL CHECK (signed_by <> ''),
    signed_at timestamptz NOT NULL DEFAULT now(),
    reopened_by text NOT NULL DEFAULT '',
    reopened_because text NOT NULL DEFAULT '',
    reopened_at timestamptz,
    CONSTRAINT reopened_for_a_reason CHECK ((reopened_at IS NULL) = (reopened_because = ''))
);
CREATE INDEX recon_sign_offs_in_force ON recon_sign_offs (rule_set, last_day) WHERE reopened_at IS NULL;
