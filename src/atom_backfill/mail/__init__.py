"""What a message is and what of it is worth remembering. Pure: no files, no network, no database, no settings.

Knows mail (addresses, MIME, HTML, quoting habits); knows nothing of where mail comes from or where it is kept.
Invariants: a rendering is never changed after it is made, and every offset counts Unicode code points into it.
"""
