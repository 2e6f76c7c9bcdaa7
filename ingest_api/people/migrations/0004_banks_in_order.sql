-- Banks are listed in the order in which they were registered.
CREATE INDEX external_banks_in_order ON external_banks (registered_at, bank_id);
