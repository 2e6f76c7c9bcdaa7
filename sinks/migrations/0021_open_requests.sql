-- no-transaction
-- What is open, the oldest first: of a request of which nothing was heard for a week the next attempt is lost.
CREATE INDEX CONCURRENTLY IF NOT EXISTS provider_requests_open ON provider_requests (changed_at, request_id)
WHERE is_open
