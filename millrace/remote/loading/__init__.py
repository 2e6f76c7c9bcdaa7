"""`millrace load`: a file of payments, each sent once however often the command is killed and run again."""
