"""How fast files of banks are read: camt.054 of a clearing house, a transaction of twelve elements each."""
