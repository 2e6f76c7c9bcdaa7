-- Each version of a list that was loaded. The newest of a source is in force.
CREATE TABLE screening_lists (
    version bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    content_hash bytea NOT NULL,
    entries integer NOT NULL,
    skipped jsonb NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT now(),
    -- When all subjects had been screened against what this version brought; null until then.
    rescreened_at timestamptz
);
CREATE INDEX screening_lists_by_source ON screening_lists (source, version DESC);

-- Every content that an entry ever had, and the versions that had it: from `since` on, before `until`.
CREATE TABLE screening_entries (
    source text NOT NULL,
    uid text NOT NULL,
    since bigint NOT NULL REFERENCES screening_lists,
    until bigint REFERENCES screening_lists,
    fingerprint bytea NOT NULL,
    content jsonb NOT NULL,
    PRIMARY KEY (source, uid, since)
);
CREATE UNIQUE INDEX screening_entries_in_force ON screening_entries (source, uid) WHERE until IS NULL;
CREATE INDEX screening_entries_since ON screening_entries (since);

-- A subject that may be on a list. Nothing here says who the subject is: its id, a keyed hash of its names, and the
-- listed side of what differs.
-- status: 1 open, 2 cleared, 3 confirmed, 4 withdrawn (either side changed, so the question is asked anew).
CREATE TABLE screening_hits (
    hit bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject_id text NOT NULL,
    subject_fingerprint bytea NOT NULL,
    source text NOT NULL,
    uid text NOT NULL,
    entry_fingerprint bytea NOT NULL,
    list_version bigint NOT NULL REFERENCES screening_lists,
    verdict text NOT NULL CHECK (verdict IN ('match', 'possible')),
    score_permille smallint NOT NULL CHECK (score_permille BETWEEN 0 AND 1000),
    explanation jsonb NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    status smallint NOT NULL DEFAULT 1 CHECK (status IN (1, 2, 3, 4)),
    decided_by text,
    because text,
    decided_at timestamptz,
    CONSTRAINT decided_by_somebody_for_a_reason CHECK (
        status NOT IN (2, 3) OR (coalesce(decided_by, '') <> '' AND coalesce(because, '') <> '')
    ),
    CONSTRAINT decided_at_a_time CHECK ((status = 1) = (decided_at IS NULL))
);
-- The same question is open once, however often a subject is screened; an answer to it is kept.
CREATE UNIQUE INDEX screening_hits_once ON screening_hits
    (subject_id, subject_fingerprint, source, uid, entry_fingerprint) WHERE status <> 4;
CREATE INDEX screening_hits_open ON screening_hits (found_at) WHERE status = 1;
CREATE INDEX screening_hits_of_entry ON screening_hits (source, uid) WHERE status = 1;

-- Pairs that were cleared, as both were then: they stay cleared until either one's content changes.
CREATE VIEW screening_good_guys AS
SELECT subject_id, subject_fingerprint, source, uid, entry_fingerprint, hit, decided_by, because, decided_at
FROM screening_hits WHERE status = 2;
