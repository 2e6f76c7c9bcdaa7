-- Files of banks and providers, every one that was ever brought. status: 1 imported, 2 refused (the bytes of first_file
-- again), 3 quarantined (whole: nothing of it is in the other tables). What is brought again and again is one row.
CREATE TABLE recon_files (
    file_id uuid PRIMARY KEY,
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    name text NOT NULL,
    -- Who sends it (a bank's BIC, "stripe"): the same line in two files of one source counts once.
    source text NOT NULL CHECK (source <> ''),
    format text NOT NULL,
    profile text NOT NULL,
    bytes bigint NOT NULL,
    status smallint NOT NULL CHECK (status IN (1, 2, 3)),
    reason text NOT NULL,
    bad_lines jsonb NOT NULL DEFAULT '[]',
    first_file uuid REFERENCES recon_files,
    lines bigint NOT NULL DEFAULT 0,
    repeats bigint NOT NULL DEFAULT 0,
    brought_by text NOT NULL CHECK (brought_by <> ''),
    brought_at timestamptz NOT NULL DEFAULT now(),
    times integer NOT NULL DEFAULT 1,
    last_brought_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT said_why CHECK ((status = 1) = (reason = '')),
    CONSTRAINT refused_for_another CHECK ((status = 2) = (first_file IS NOT NULL))
);
CREATE UNIQUE INDEX recon_files_imported_once ON recon_files (sha256) WHERE status = 1;
CREATE UNIQUE INDEX recon_files_told_once ON recon_files (sha256, status, reason) WHERE status <> 1;
CREATE INDEX recon_files_newest ON recon_files (brought_at DESC, file_id DESC);

-- The bytes themselves, in pieces, for drilling down to the line as it was sent. first_line: the number of the line that
-- the piece begins in, from 1.
CREATE TABLE recon_contents (
    sha256 bytea NOT NULL,
    piece integer NOT NULL,
    first_line bigint NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (sha256, piece)
);

CREATE TABLE recon_statements (
    statement_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file_id uuid NOT NULL REFERENCES recon_files,
    number integer NOT NULL,
    source text NOT NULL,
    account text NOT NULL,
    currency text NOT NULL,
    opening_minor bigint,
    closing_minor bigint,
    from_day date,
    to_day date,
    identification text NOT NULL,
    control_totals jsonb NOT NULL,
    warnings jsonb NOT NULL,
    UNIQUE (file_id, number)
);
CREATE INDEX recon_statements_of_source ON recon_statements (source, to_day);

-- Movements, signed minor units (credit > 0). ordinal: place among the lines of the file, from 0. repeat_of: another file
-- told it before, so it does not count.
CREATE TABLE recon_lines (
    line_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file_id uuid NOT NULL REFERENCES recon_files,
    statement_id bigint NOT NULL REFERENCES recon_statements,
    ordinal integer NOT NULL,
    line_number bigint NOT NULL,
    element text NOT NULL,
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),
    repeat_of bigint REFERENCES recon_lines,
    amount_minor bigint NOT NULL,
    currency char(3) NOT NULL,
    booked_on date NOT NULL,
    value_on date,
    type text NOT NULL,
    status text NOT NULL,
    reference_texts jsonb NOT NULL,
    description text NOT NULL,
    counterparty text NOT NULL,
    gross_minor bigint,
    fee_minor bigint,
    original_amount text NOT NULL,
    UNIQUE (file_id, ordinal)
);
CREATE UNIQUE INDEX recon_lines_once ON recon_lines (fingerprint) WHERE repeat_of IS NULL;
CREATE INDEX recon_lines_of_statement ON recon_lines (statement_id, booked_on);
