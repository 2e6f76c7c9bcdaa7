"""Aliases: a name stands for one account at a time, and for a call that is repeated always for the same one."""
