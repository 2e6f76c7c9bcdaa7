"""The commands about who may call: users, machines, tokens, signing keys."""
