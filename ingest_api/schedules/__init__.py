"""Scheduled and recurring transfers: what callers order, and the process that carries it out when it is due.

When something is due stands in payments.terms; the guarantee that it is paid once is `running.run_pass`.
"""
