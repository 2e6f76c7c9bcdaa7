"""How a statement is written: one file per format, all fed the same way (rendering.py); none of them reads anything."""
