"""The next release of the product, with a second version of an internal record, rolled out under load."""
