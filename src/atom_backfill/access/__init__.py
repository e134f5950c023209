"""Who may do what: tenants, and the vault that keeps their secrets.

Knows nothing of mail, jobs or accounts. No secret leaves it in a log line, an error or a repr.
"""
