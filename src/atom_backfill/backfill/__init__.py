"""The main job, told once: a mailbox becomes record and memory.

Knows how the rooms below work together, and owns the one transaction in which a page counts.
Invariants: the memory is written before the record; a page counts in one fenced transaction or not at all; nothing is
done when its source has not said that there is no more.
"""
