"""Random operations over all kinds, chosen with an eye on the model's state so that they reach deep into it."""

from tests.model.operations.everything import Operations as Operations
from tests.model.operations.parts import DAY_US as DAY_US
