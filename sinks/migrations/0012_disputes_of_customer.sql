-- A customer's disputes: the open ones are counted before another is opened.
CREATE INDEX disputes_of_customer ON disputes (customer, opened_at DESC, dispute_id);
