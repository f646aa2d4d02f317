"""Values that everything else is made of: instants, ids, secrets, errors, events, authentication words.

Owns: formats (what an id, a token, an instant looks like) and their pure functions.
Does not own: any I/O, any table, any HTTP status. The two functions that touch the outside world,
`clock.system_clock` and `secrets.system_random`, are only handed in by `iam.server` and `iam.cli`.
Hands to: every other package; it imports none of them.
"""
