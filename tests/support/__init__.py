"""What the tests need running beside them: PostgreSQL, server processes, nginx, Chromium, Node.

Owns: starting these for real, on loopback, and leaving nothing behind.
Does not own: any assertion about the product.
Hands to: the fixtures in `tests/conftest.py`.
"""
