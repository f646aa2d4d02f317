"""What every door needs: the engine, who is calling, cookies, pages and the one mapping of errors.

Owns: `Engine` (what a running process is made of), caller authentication, cookie names and forms,
problem+json, Jinja pages, CSRF, the client's address, the counters of /metrics.
Does not own: any route's meaning (the doors), any rule about sessions.
Hands to: the doors; `server` and `cli` build the engine.
"""
