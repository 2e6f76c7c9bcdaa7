-- What was posted to an account in spans of its time, where it has thousands of entries: a page deep in its history then
-- adds up some hundred sums in the place of a million entries.

-- A span ends before `until`, and begins where the one before ends; there is a first one, and none behind the last. It has
-- the sum of all legs of the account (the view account_legs) in its time, also of those that came after it was made.
CREATE TABLE account_sums (
    account_id uuid NOT NULL,
    until timestamptz NOT NULL,
    posted_minor numeric NOT NULL,
    PRIMARY KEY (account_id, until) INCLUDE (posted_minor)
);

-- Behind every span, in microseconds since 1970. A leg before it may belong to one. Part of the fence between writers: a
-- batch is applied only by the writer that knows of every span.
ALTER TABLE sink_progress ADD COLUMN summed_until_us bigint NOT NULL DEFAULT 0;

-- How far the accounts that were there before this table have been looked at. The row goes when all of them were.
CREATE TABLE account_sums_walk (walked_to uuid PRIMARY KEY);
INSERT INTO account_sums_walk VALUES ('00000000-0000-0000-0000-000000000000');
