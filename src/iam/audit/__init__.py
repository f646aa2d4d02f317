"""What happened: the append-only table of events.

Owns: the `event` table and its statements.
Does not own: what is worth an event; whoever does a thing says so, in the same transaction.
Hands to: `sessions`, `directory` and `signin` (which write), the management API (which reads).
"""

from iam.audit.events import append, list_events

__all__ = ["append", "list_events"]
