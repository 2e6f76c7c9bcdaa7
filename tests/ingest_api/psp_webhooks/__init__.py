"""Events of payment providers over HTTP."""
