"""Who may do what to which account: many users to many accounts, each with a role.

rights.py decides, access.py looks the role up for a call, register.py keeps who has which role since when.
"""
