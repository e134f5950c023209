"""Where mail comes from: accounts, and a MailSource for each kind of mailbox.

Knows how to list folders, count, and read pages of raw messages; knows nothing of what becomes of them.
Invariants: a source never stores mail, and whatever it yields is untrusted.
"""
