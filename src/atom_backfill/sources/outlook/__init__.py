"""Outlook mailboxes over Microsoft Graph v1.0.

Knows Graph's addresses, its faults and its sign-in; knows nothing of jobs, records or what mail is for. Every request
asks for immutable ids, goes to the configured host alone and counts against the mailbox's permits. Nothing here writes
to a mailbox.
"""
