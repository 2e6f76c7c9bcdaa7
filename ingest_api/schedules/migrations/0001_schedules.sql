-- Scheduled and recurring transfers: the orders, and their occurrences with what became of each.
-- starts, ends and wall are times of the wall clock in the schedule's zone; all other times are instants.

-- progress: what was issued and which retries wait (payments.terms.occurrences). next_due_at: when the next occurrence
-- is issued, null where none follows. request: a hash of what the call that made it asked for. end_reason: finished,
-- cancelled, or why no transfer can succeed any more. changed_by: the last caller who changed it.
CREATE TABLE schedules (
    schedule_id uuid PRIMARY KEY,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'ended')),
    end_reason text,
    payer uuid NOT NULL,
    payee uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency char(3) NOT NULL,
    memo text NOT NULL,
    zone text NOT NULL,
    starts timestamp NOT NULL,
    expression text,
    ends timestamp,
    times integer,
    month_end text NOT NULL,
    missed text NOT NULL,
    retries smallint NOT NULL,
    retry_hours smallint NOT NULL,
    progress bytea NOT NULL,
    next_due_at timestamptz,
    request bytea NOT NULL CHECK (length(request) = 32),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_by text,
    changed_at timestamptz,
    CONSTRAINT ended_for_a_reason CHECK ((status = 'ended') = (end_reason IS NOT NULL))
);
CREATE INDEX schedules_due ON schedules (next_due_at) WHERE status = 'active' AND next_due_at IS NOT NULL;
CREATE INDEX schedules_of_payer ON schedules (payer, created_at DESC, schedule_id DESC);

-- One row per try. What is paid is copied from the schedule when the row is made: a key never comes with another body.
-- unsent_at: at that time it was certain that nothing of it had been sent. sent_at: Kafka has it. outcome and reason:
-- what became of the payment in the end; until then the view payments tells.
CREATE TABLE schedule_occurrences (
    schedule_id uuid NOT NULL REFERENCES schedules,
    wall timestamp NOT NULL,
    attempt smallint NOT NULL,
    due_at timestamptz NOT NULL,
    payment_id uuid NOT NULL UNIQUE,
    payer uuid NOT NULL,
    payee uuid NOT NULL,
    amount_minor bigint NOT NULL,
    currency char(3) NOT NULL,
    memo text NOT NULL,
    unsent_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    outcome text,
    reason text,
    settled_at timestamptz,
    PRIMARY KEY (schedule_id, wall, attempt),
    CONSTRAINT settled_with_an_outcome CHECK ((settled_at IS NULL) = (outcome IS NULL)),
    CONSTRAINT settled_after_it_was_sent CHECK (settled_at IS NULL OR sent_at IS NOT NULL)
);
CREATE INDEX schedule_occurrences_to_send ON schedule_occurrences (due_at) WHERE sent_at IS NULL;
CREATE INDEX schedule_occurrences_to_settle ON schedule_occurrences (due_at)
    WHERE sent_at IS NOT NULL AND settled_at IS NULL;
CREATE INDEX schedule_occurrences_of ON schedule_occurrences (schedule_id, due_at DESC, payment_id DESC);
