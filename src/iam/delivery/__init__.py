"""Telling others: webhooks, applications whose sessions end, the notices that go to them, and mails.

Owns: the tables `webhook` and `client_session` (which application knows of which session); the table
`delivery` from the moment that `audit` has filled it in (claiming, sending, giving up, sending again,
purging); the table `mail`, what a mail says, and the link in it.
Does not own: what is worth an event, and the statement that writes events with their notices (`audit`);
which device is new, and what following the link in a mail does (`signin`).
Hands to: the management API and the command line (which make and list webhooks), `oidc` (which notes what
applications know), `signin` (which puts mails into the outbox), `server` (which runs the `Deliverer` and
the `Mailer`).
"""
