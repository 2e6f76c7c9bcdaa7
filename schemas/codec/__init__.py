"""Encoders and decoders, one file per record: specialised for the hot ones, byte-identical to fastavro
(tests/schemas).
"""
