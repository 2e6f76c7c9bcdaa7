"""The application under test, its worker processes, its mutants, and the verifier that recomputes what it did."""
