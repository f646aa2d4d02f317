"""The running server: settings become an engine, the engine an application; jobs run beside it.

Owns: start-up and shut-down, first start, background jobs, the root application and its order of
doors, /healthz, /readyz and /metrics.
Does not own: any rule; it wires what the packages below offer.
Hands to: `cli`, which starts it.
"""
