-- Lists of what is rare among millions of others.
CREATE INDEX public_events_of_type ON public_events (type, position);
CREATE INDEX webhook_deliveries_not_done ON webhook_deliveries (endpoint_id, status, position)
    WHERE status IN ('failed', 'withheld');
