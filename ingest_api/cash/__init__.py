"""Money from and to the outside by method (cash, check, payroll …), and deposits that wait or come back.

Each method has a clearing account and a rule for when a deposit is available: payments/terms/methods.py.
"""
