"""The source documents: every path that they name is served, and their words are used."""
