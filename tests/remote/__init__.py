"""Commands over HTTP: who calls, what is printed, how a load goes on after a kill."""
