"""`millrace rules`: the rule set of risk, checked and put in force."""
