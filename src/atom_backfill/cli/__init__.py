"""The command line: arguments in, one answer out, exit statuses that scripts can rely on.

Knows how people type and what they are shown; every operation itself is another room's.
Invariants: data on stdout, everything else on stderr; no traceback without --debug; nothing slow is imported before a
command needs it.
"""
