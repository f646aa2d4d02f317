"""The database: engine, tables, migrations, and one transaction a piece of work.

Owns: how a connection is made safe on SQLite and PostgreSQL, the definition of every table (in `tables`,
SAML's in `saml_tables`), the migrations, and the lease that makes one node do a job.
Does not own: statements about a table; those are in the package that owns it.
Hands to: `audit`, `sessions`, `directory`, `keys`, `signin` and the doors that keep short-lived codes.
"""

from iam.db import saml_tables as saml_tables  # so that `tables.metadata` knows them
from iam.db.engine import Database, DatabaseUnavailable, open_database

__all__ = ["Database", "DatabaseUnavailable", "open_database"]
