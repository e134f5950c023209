"""PostgreSQL: the embedded server, connections, transactions with a tenant's scope, named SQL and migrations.

Knows roles, scopes and database errors; knows nothing of jobs or mail.
Invariants: `Database.transaction` is the only way to a transaction, and it always names whose rows it may see.
"""
