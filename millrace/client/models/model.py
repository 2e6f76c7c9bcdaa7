"""What all models have in common: they are open to the future.

Fields that this release does not know are passed over, and words of a status stay text, so that a newer server is read
as well. Amounts are decimal text with the integer of minor units beside it; no binary number is ever made.
"""

import msgspec


class Model(msgspec.Struct):
    """A value of an answer."""
