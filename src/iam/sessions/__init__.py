"""The heart: what a session is, how it starts, stays and ends.

Owns: the tables `session`, `session_record`, `added_session_ids` and `policy`, every rule about them, and
the one predicate, `policy.end_reason`, that says whether a session is over; doors ask
`validate.refusal`, which also knows of locks.
Does not own: who may ask (the doors), who a person is (`directory`), how they prove it (`signin`).
Hands to: everybody above. Every write takes a connection and `now`, and writes its event along.

Read in this order: `model`, `policy`, `validate`, `store`, `lifecycle`, `lock`, `rules`, `touch`, `sweep`,
`reader`.
"""
