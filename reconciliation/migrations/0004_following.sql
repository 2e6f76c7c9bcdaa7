-- A rule set as it was used last: by its zone and calendar its breaks grow old.
CREATE TABLE recon_rule_sets (
    rule_set text PRIMARY KEY,
    revision integer NOT NULL,
    zone text NOT NULL,
    calendar text NOT NULL,
    used_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO recon_rule_sets
SELECT DISTINCT ON (rule_set) rule_set, revision, zone, calendar, run_at FROM recon_runs
ORDER BY rule_set, run_at DESC;

-- A break that the stream opened has no run until the next one sees it.
ALTER TABLE recon_breaks ALTER opened_run DROP NOT NULL, ALTER seen_run DROP NOT NULL;

-- How far a rule set is followed: written with the breaks that this opened and closed. step: the fence between followers.
-- positions: by shard the ledger_sequence that comes next. told_run: the newest run whose breaks were looked through.
CREATE TABLE recon_follows (
    rule_set text PRIMARY KEY REFERENCES recon_rule_sets,
    step bigint NOT NULL,
    as_of date NOT NULL,
    first_day date,
    positions jsonb NOT NULL,
    files integer NOT NULL,
    internal_lines bigint NOT NULL,
    external_lines bigint NOT NULL,
    told_run uuid,
    followed_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX recon_proposals_by_journal ON recon_proposals (journal_id) WHERE journal_id IS NOT NULL;
