-- What users are told, and how far the planning of it is. connectors/notifications writes both; ingest_api/preferences
-- shows notices and queues failed ones again. No row tells who somebody is: addresses and preferences are personal values.

-- next_position: of public_events and of audit_seals, up to which notices are planned.
CREATE TABLE notice_feeds (
    feed text PRIMARY KEY,
    next_position bigint NOT NULL
);

-- One thing that one user is told on one channel. cause: what it comes from (`events:17`). target: the device, for push.
-- details: amounts, words and ids that its text is made of. account_id: in which the user must have a part when it is
-- sent. due_at of one under way: when it counts as lost with its process. under_way: it may have been sent.
-- summary_id: the summary that tells of it.
CREATE TABLE notices (
    notice_id uuid PRIMARY KEY,
    cause text NOT NULL,
    user_id uuid NOT NULL,
    channel text NOT NULL CHECK (channel IN ('email', 'sms', 'push')),
    target text NOT NULL,
    kind text NOT NULL,
    account_id uuid,
    details jsonb NOT NULL,
    happened_at timestamptz NOT NULL,
    status text NOT NULL
        CHECK (status IN ('pending', 'collected', 'summarised', 'delivered', 'failed', 'withheld')),
    due_at timestamptz NOT NULL,
    under_way boolean NOT NULL DEFAULT false,
    attempts integer NOT NULL DEFAULT 0,
    failure text,
    summary_id uuid,
    queued_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    UNIQUE (cause, user_id, kind, channel, target),
    CONSTRAINT ended_unless_waiting CHECK ((status IN ('pending', 'collected')) = (ended_at IS NULL))
);
CREATE INDEX notices_due ON notices (due_at) WHERE status = 'pending';
CREATE INDEX notices_collected ON notices (due_at) WHERE status = 'collected';
CREATE INDEX notices_failed ON notices (queued_at DESC, notice_id DESC) WHERE status = 'failed';
CREATE INDEX notices_of_user ON notices (user_id, queued_at DESC, notice_id DESC);
CREATE INDEX notices_of_summary ON notices (summary_id) WHERE summary_id IS NOT NULL;
CREATE INDEX notices_ended ON notices (ended_at) WHERE ended_at IS NOT NULL;
