"""`millrace recon`: tie-out, matching, and files to try them with."""
