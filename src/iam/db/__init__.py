"""The database: engine, tables, migrations, and one transaction a piece of work.

Owns: how a connection is made safe on SQLite and PostgreSQL, the definition of every table (so that
`tables` and `mail_tables` show the whole schema), the migrations, and the lease that makes one node do a job.
Does not own: statements about a table; those are in the package that owns it.
Hands to: `audit`, `sessions`, `directory`, `keys`, `signin` and the doors that keep short-lived codes.
"""

import iam.db.token_tables  # noqa: F401 - its tables are part of the one schema
from iam.db import mail_tables as mail_tables  # so that the schema is whole wherever it is read
from iam.db.engine import Database, DatabaseUnavailable, open_database

__all__ = ["Database", "DatabaseUnavailable", "open_database"]
