"""The public events on the wire: their record, and the headers of CloudEvents in front of it."""
