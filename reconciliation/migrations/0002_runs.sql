-- One comparison of the ledger with files. first_day is null where a run looks at everything until last_day. cut_off:
-- what was posted or brought from then on is not in it. result_hash: over rules, files, matches, breaks and balances; the
-- same inputs give the same one. figures, ties, totals: see reconciliation/runs/tie_out.py.
CREATE TABLE recon_runs (
    run_id uuid PRIMARY KEY,
    rule_set text NOT NULL,
    revision integer NOT NULL,
    rules text NOT NULL,
    rules_sha256 bytea NOT NULL CHECK (length(rules_sha256) = 32),
    zone text NOT NULL,
    calendar text NOT NULL,
    first_day date,
    last_day date NOT NULL,
    as_of date NOT NULL,
    cut_off timestamptz NOT NULL,
    internal_lines integer NOT NULL,
    external_lines integer NOT NULL,
    matches integer NOT NULL,
    breaks integer NOT NULL,
    totals jsonb NOT NULL,
    ties jsonb NOT NULL,
    suggestions jsonb NOT NULL,
    result_hash bytea NOT NULL CHECK (length(result_hash) = 32),
    run_by text NOT NULL CHECK (run_by <> ''),
    run_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX recon_runs_newest ON recon_runs (run_at DESC, run_id DESC);
CREATE INDEX recon_runs_of_rules ON recon_runs (rule_set, run_at DESC);

CREATE TABLE recon_run_files (
    run_id uuid NOT NULL REFERENCES recon_runs,
    file_id uuid NOT NULL REFERENCES recon_files,
    PRIMARY KEY (run_id, file_id)
);

-- Lines that belong together. internal: journal and leg ("<journal>/<leg>"), external: line_ids.
CREATE TABLE recon_matches (
    run_id uuid NOT NULL REFERENCES recon_runs,
    number integer NOT NULL,
    pass text NOT NULL,
    keys jsonb NOT NULL,
    score smallint NOT NULL,
    note text NOT NULL,
    amount_minor bigint NOT NULL,
    currency char(3) NOT NULL,
    internal text[] NOT NULL,
    external bigint[] NOT NULL,
    PRIMARY KEY (run_id, number)
);

-- Breaks as this run found them; recon_breaks has what has become of each since.
CREATE TABLE recon_run_breaks (
    run_id uuid NOT NULL REFERENCES recon_runs,
    break_id uuid NOT NULL,
    type text NOT NULL,
    reason text NOT NULL,
    keys jsonb NOT NULL,
    difference_minor bigint NOT NULL,
    currency text NOT NULL,
    day date NOT NULL,
    age_days integer NOT NULL,
    internal text[] NOT NULL,
    external bigint[] NOT NULL,
    PRIMARY KEY (run_id, break_id)
);
