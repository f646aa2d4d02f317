"""The database: engine, tables, migrations, and one transaction a piece of work.

Owns: how a connection is made safe on SQLite and PostgreSQL, the definition of every table (so that
`tables` and the modules named like it show the whole schema), the migrations, and the lease that makes
one node do a job.
Does not own: statements about a table; those are in the package that owns it.
Hands to: `audit`, `sessions`, `directory`, `keys`, `signin` and the doors that keep short-lived codes.
"""

# So that the schema is whole wherever it is read.
from iam.db import brand_tables as brand_tables
from iam.db import factor_tables as factor_tables
from iam.db import hanzo_tables as hanzo_tables
from iam.db import mail_tables as mail_tables
from iam.db import moving_tables as moving_tables
from iam.db import notice_tables as notice_tables
from iam.db import provider_tables as provider_tables
from iam.db import saml_tables as saml_tables
from iam.db import token_tables as token_tables
from iam.db.engine import Database, DatabaseUnavailable, open_database

__all__ = ["Database", "DatabaseUnavailable", "open_database"]
