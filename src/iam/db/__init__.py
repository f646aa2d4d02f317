"""The database: engine, tables, migrations, and one transaction a piece of work.

Owns: how a connection is made safe on SQLite and PostgreSQL, the definition of every table (so that
`tables`, `mail_tables` and `client_tables` show the whole schema), the migrations, and the lease that makes
one node do a job.
Does not own: statements about a table; those are in the package that owns it.
Hands to: `audit`, `sessions`, `directory`, `keys`, `signin` and the doors that keep short-lived codes.
"""

# So that the schema is whole wherever it is read.
from iam.db import client_tables as client_tables
from iam.db import mail_tables as mail_tables
from iam.db.engine import Database, DatabaseUnavailable, open_database

__all__ = ["Database", "DatabaseUnavailable", "open_database"]
