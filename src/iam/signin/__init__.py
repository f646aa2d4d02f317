"""From stranger to session: proving who one is, and entering an application once one has.

Owns: passwords (Argon2id), throttling of attempts, the browser session that signing in makes, the
sessions of applications that are entered from it, the one-time codes that carry an entry over to
another host, which devices a user has signed in from, and what people have allowed applications. Tables:
`throttle`, `one_time_code`, `known_device`, `consent`.
Does not own: pages, protocols, cookies (the doors); what a session is (`sessions`).
Hands to: `web` and the doors.
"""
