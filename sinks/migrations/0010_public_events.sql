-- Public events of the last 30 days, who is told of them by webhook, and how far that is. sinks/events writes events and
-- their deliveries, ingest_api/webhook_endpoints the endpoints, connectors/webhooks what became of each delivery.

-- position: the order in which events are stored and shown. Given out under the lock of event_feed's one row, so a reader
-- that has seen a position has seen all below it. accounts: whose owners may see it; empty = operators alone. payload:
-- the webhook's body, word for word.
CREATE TABLE event_feed (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    next_position bigint NOT NULL DEFAULT 1
);
INSERT INTO event_feed DEFAULT VALUES;
CREATE TABLE event_feed_offsets (
    shard smallint PRIMARY KEY,
    next_offset bigint NOT NULL DEFAULT 0
);
CREATE TABLE public_events (
    position bigint PRIMARY KEY,
    event_id uuid NOT NULL UNIQUE,
    type text NOT NULL,
    object text NOT NULL,
    accounts uuid[] NOT NULL,
    occurred_at timestamptz NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    payload bytea NOT NULL
);
CREATE INDEX public_events_of_object ON public_events (object, position);

-- public_events.accounts by account: its history in order.
CREATE TABLE event_accounts (
    account_id uuid NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (account_id, position)
);

-- user_id: null for a service's, which is told of every account. event_types: empty = all. failures: attempts that failed
-- since the last that did not, the first of them at failing_since. paused_until: nothing is sent before.
CREATE TABLE webhook_endpoints (
    endpoint_id uuid PRIMARY KEY,
    user_id uuid,
    created_by text NOT NULL,
    url text NOT NULL,
    description text NOT NULL,
    event_types text[] NOT NULL,
    status text NOT NULL DEFAULT 'enabled' CHECK (status IN ('enabled', 'disabled', 'deleted')),
    disabled_reason text,
    failures integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    paused_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT disabled_for_a_reason CHECK ((status = 'disabled') = (disabled_reason IS NOT NULL))
);
CREATE INDEX webhook_endpoints_of ON webhook_endpoints (created_by, created_at DESC, endpoint_id DESC);
CREATE INDEX webhook_endpoints_of_user ON webhook_endpoints (user_id) WHERE status = 'enabled';

-- What deliveries are signed with, wrapped by the installation's keyring. valid_until: null for the current one.
CREATE TABLE webhook_secrets (
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoints,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    valid_until timestamptz,
    wrapping_key text NOT NULL,
    wrapped bytea NOT NULL,
    PRIMARY KEY (endpoint_id, made_at)
);
CREATE UNIQUE INDEX webhook_secrets_current ON webhook_secrets (endpoint_id) WHERE valid_until IS NULL;

-- One event for one endpoint. queued_at: when it was queued, or queued again; earlier_attempts: those before that.
-- next_attempt_at of one under way: when it counts as lost with its dispatcher, and is due again.
CREATE TABLE webhook_deliveries (
    delivery_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoints,
    position bigint NOT NULL,
    object text NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed', 'withheld')),
    attempts integer NOT NULL DEFAULT 0,
    earlier_attempts integer NOT NULL DEFAULT 0,
    queued_at timestamptz NOT NULL DEFAULT now(),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    UNIQUE (endpoint_id, position),
    CONSTRAINT ended_unless_pending CHECK ((status = 'pending') = (ended_at IS NULL))
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_attempt_at, position)
    WHERE status = 'pending';
CREATE INDEX webhook_deliveries_ahead ON webhook_deliveries (endpoint_id, object, position) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_queued ON webhook_deliveries (queued_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_at ON webhook_deliveries (position);

-- response: the beginning of the answer's body.
CREATE TABLE webhook_attempts (
    delivery_id uuid NOT NULL REFERENCES webhook_deliveries ON DELETE CASCADE,
    attempt integer NOT NULL,
    began_at timestamptz NOT NULL,
    duration_ms integer NOT NULL,
    http_status smallint,
    failure text,
    response text NOT NULL,
    PRIMARY KEY (delivery_id, attempt)
);
