"""What a transfer costs beyond its amount: quotes for another currency, and fees by schedule.

Rates and fee schedules are data in one file, which finance owns: MILLRACE_TERMS_FILE (docs/fx.md has an example).
"""
