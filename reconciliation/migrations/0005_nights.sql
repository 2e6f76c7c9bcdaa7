-- Nights of the plan, called by their business day. run_id: the run that was made for it, or that covered it when nobody
-- was there in time. reported_at: since when its reports lie in their folder.
CREATE TABLE recon_nights (
    rule_set text NOT NULL REFERENCES recon_rule_sets,
    day date NOT NULL,
    due_at timestamptz NOT NULL,
    run_id uuid NOT NULL REFERENCES recon_runs,
    was_missed boolean NOT NULL,
    done_at timestamptz NOT NULL DEFAULT now(),
    reported_at timestamptz,
    PRIMARY KEY (rule_set, day)
);
CREATE INDEX recon_nights_to_report ON recon_nights (done_at) WHERE reported_at IS NULL AND NOT was_missed;
