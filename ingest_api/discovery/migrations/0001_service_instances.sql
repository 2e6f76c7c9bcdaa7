-- Who serves what, and where: one row per instance, kept alive by heartbeats.
-- app is in upper case. An instance is there until ended_at is set or renewed_at is older than its lease; rows of
-- those that are not there any more stay for some minutes, so that clients which ask for changes hear of the end.
-- override: what an operator has set, over what the instance says of itself; UNKNOWN = nothing.
-- registered_by: subject of the token, '' for the API processes of this installation, which no token can name.
CREATE TABLE service_instances (
    app text NOT NULL,
    instance_id text NOT NULL,
    host text NOT NULL,
    ip text NOT NULL,
    port integer CHECK (port BETWEEN 1 AND 65535),
    secure_port integer CHECK (secure_port BETWEEN 1 AND 65535),
    vip text NOT NULL,
    secure_vip text NOT NULL,
    status text NOT NULL,
    override text NOT NULL DEFAULT 'UNKNOWN',
    lease_s integer NOT NULL,
    details jsonb NOT NULL,
    registered_by text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now(),
    renewed_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    PRIMARY KEY (app, instance_id)
);
