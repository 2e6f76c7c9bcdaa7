-- Matches are the bulk of a run (a row a pair); after their time they are deleted, and what they came to stays: passes is
-- [[pass, matches, internal lines, external lines], …]. The hash of the result proves them against the same files again.
ALTER TABLE recon_runs ADD COLUMN forgotten_at timestamptz, ADD COLUMN passes jsonb;
CREATE INDEX recon_runs_to_forget ON recon_runs (run_at) WHERE forgotten_at IS NULL;
