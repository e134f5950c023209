"""Who may do what: tenants, their own keys for models, and the vault that keeps their secrets.

Knows nothing of mail, jobs or accounts. No secret leaves it in a log line, an error or a repr.
"""
