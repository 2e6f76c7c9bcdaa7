"""Negative controls on the real pipeline: each guard taken out in turn, and the verifier has to notice."""
