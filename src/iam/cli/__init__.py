"""The command line: `iam serve`, and an operator's tools that work on the database itself.

Owns: commands, their help and how they print. Who can read the server's settings may use them; they
need no password.
Does not own: any rule; it calls the same functions as the doors.
Hands to: nobody; it is the top.
"""

from iam.cli.main import main

__all__ = ["main"]
