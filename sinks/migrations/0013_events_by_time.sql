-- Events between two times: which positions they have, from the index alone.
CREATE INDEX public_events_occurred ON public_events (occurred_at) INCLUDE (position);
