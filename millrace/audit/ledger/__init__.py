"""What the log alone proves: read (partition_log), decide again (replay, decisions), add up (fold), join (settlement,
lanes, quarantine), and say so (proof).
"""
