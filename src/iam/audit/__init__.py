"""What happened: the append-only table of events.

Owns: the `event` table and its statements; filling the outbox (`delivery`) in the same statement; the
table `event_count`, which says how often what happened.
Does not own: what becomes of the notices in it (`delivery`); what is worth an event: whoever
does a thing says so, in the same transaction.
Hands to: `sessions`, `directory` and `signin` (which write), the management API (which reads).
"""

from iam.audit.events import append, appending, ended_together, list_events, read_events, timeline

__all__ = ["append", "appending", "ended_together", "list_events", "read_events", "timeline"]
