"""The edges: how one message leaves by e-mail, text message or push."""
