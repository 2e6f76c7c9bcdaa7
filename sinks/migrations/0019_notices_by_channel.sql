-- Each channel has slots of its own: what is due of one is found without passing over what waits for another.
CREATE INDEX notices_due_by_channel ON notices (channel, due_at) WHERE status = 'pending';
DROP INDEX notices_due;
