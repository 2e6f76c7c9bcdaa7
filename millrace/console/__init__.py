"""The console in an API process: what design.md calls composing, because neither package imports the other."""
