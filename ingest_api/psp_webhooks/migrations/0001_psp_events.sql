-- Events that payment providers sent, each once, without their bodies: those hold personal data, and nothing is decided by
-- them. request_id: the request of ours that one brings to an end, null where it does not. acted_at: a connector asked
-- the provider about that request because of it.
CREATE TABLE psp_events (
    psp text NOT NULL,
    event_id text NOT NULL,
    type text NOT NULL,
    object_id text NOT NULL,
    request_id bytea CHECK (length(request_id) = 16),
    received_at timestamptz NOT NULL DEFAULT now(),
    acted_at timestamptz,
    PRIMARY KEY (psp, event_id)
);
CREATE INDEX psp_events_acted_on ON psp_events (request_id, type) WHERE acted_at IS NOT NULL;
CREATE INDEX psp_events_to_act_on ON psp_events (received_at) WHERE acted_at IS NULL AND request_id IS NOT NULL;
