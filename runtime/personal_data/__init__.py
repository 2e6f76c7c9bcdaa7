"""Personal data: sealed per person, found by blind index, erased by destroying one key.

    value ─normal_forms─▶ normal text ─blind_index─▶ personal_index      who has this e-mail address?
      └──sealing, under the person's own key────────▶ personal_values     what is the address?
                         └─wrapped by a key of the keyring─▶ subject_keys
    erasure: the wrapped key, the values and the index rows go in one transaction; a signed certificate stays.

Knows nothing of payments: a subject is sixteen bytes, a field and an index have the names that their owner gives them.
"""
