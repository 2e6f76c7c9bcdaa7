"""`python -m millrace`: the same as the console script, for child processes of any virtual environment."""

from millrace.cli import main

main()
