-- What could not be decided, as payments.quarantine holds it: facts, only ever added, and rebuilt from the topic.
-- The origin names a record everywhere; the second origin of one item would be an item set aside twice: the key stops
-- the sink.
CREATE TABLE quarantine (
    origin_topic text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset bigint NOT NULL,
    origin_item integer NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    key bytea,
    value bytea NOT NULL,
    received_at timestamptz NOT NULL,
    shard smallint NOT NULL,
    quarantine_offset bigint NOT NULL,
    PRIMARY KEY (origin_topic, origin_partition, origin_offset, origin_item)
);
CREATE INDEX quarantine_by_time ON quarantine
    (received_at DESC, origin_topic DESC, origin_partition DESC, origin_offset DESC, origin_item DESC);

-- What operators did about it: rows of their own, so that a rebuild of the table above keeps them.
-- status: 1 claimed by a redrive that has not ended, 2 redriven, 3 discarded. No row: open.
CREATE TABLE quarantine_resolutions (
    origin_topic text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset bigint NOT NULL,
    origin_item integer NOT NULL,
    status smallint NOT NULL CHECK (status IN (1, 2, 3)),
    resolved_by text NOT NULL CHECK (resolved_by <> ''),
    because text,
    claimed_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    command_partition integer,
    command_offset bigint,
    PRIMARY KEY (origin_topic, origin_partition, origin_offset, origin_item),
    CONSTRAINT resolved_when_done CHECK ((status = 1) = (resolved_at IS NULL)),
    CONSTRAINT redriven_to_a_position
        CHECK ((status = 2) = (command_offset IS NOT NULL) AND (status = 2) = (command_partition IS NOT NULL)),
    CONSTRAINT discarded_for_a_reason CHECK (status <> 3 OR coalesce(because, '') <> '')
);

-- How far each partition of payments.quarantine is applied, and the fence between writers, as in sink_progress.
CREATE TABLE quarantine_progress (
    shard smallint PRIMARY KEY,
    next_offset bigint NOT NULL
) WITH (fillfactor = 20);

-- Each record with what became of it; status 0 is open.
CREATE VIEW quarantine_cases AS
SELECT
    origin_topic, origin_partition, origin_offset, origin_item,
    kept.reason, kept.detail, kept.key, kept.value, kept.received_at,
    coalesce(resolution.status, 0)::smallint AS status,
    resolution.resolved_by, resolution.because, resolution.claimed_at, resolution.resolved_at,
    resolution.command_partition, resolution.command_offset
FROM quarantine AS kept
LEFT JOIN quarantine_resolutions AS resolution
    USING (origin_topic, origin_partition, origin_offset, origin_item);
