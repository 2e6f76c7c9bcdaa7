"""`make fuzz`: what the OpenAPI document allows and forbids, sent to a running installation over real HTTP."""
