"""Who there is: organizations, their applications and their users.

Owns: the tables `organization`, `application`, `gate_host`, `user_account`, `legacy_members` and `moved_in`;
the rule that whoever is disabled or deleted loses their sessions in the same transaction.
Does not own: passwords' hashing (`signin`), policies (`sessions.policy`), who may change what (doors).
Hands to: `signin`, `web` and the doors.
"""
