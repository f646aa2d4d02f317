"""Telling others: webhooks, applications whose sessions end, and the notices that go to them.

Owns: the tables `webhook` and `client_session` (which application knows of which session); the table
`delivery` from the moment that `audit` has filled it in (claiming, sending, giving up, sending again,
purging).
Does not own: what is worth an event, and the statement that writes events with their notices (`audit`).
Hands to: the management API and the command line (which make and list webhooks), `oidc` (which notes what
applications know), `server` (which runs the `Deliverer`).
"""
