"""Reports of payment providers: tables whose columns are read by name, never by place."""
