"""Files of the ACH network in the format of Nacha: 94 columns a record, controls that must agree to the cent."""
