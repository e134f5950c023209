"""Mail in local files: an mbox file, a folder of them, a Maildir, a tree of .eml files.

Knows file formats; knows nothing of jobs or records. Files are only read. A message's id is made from its content, so
the same mail is the same message wherever it lies. A small index (SQLite, in the cache folder) holds where each message
starts, how long it is and when it came, so that windows can be read newest first; it can be thrown away at any time.
"""
