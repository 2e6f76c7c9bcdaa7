"""Names for accounts: a user id, phone number, e-mail address or bank account stands for one account per currency.

Who registers one is found in register.py, how a transfer uses one in pins.py. The names themselves are personal data:
runtime.personal_data seals them.
"""
