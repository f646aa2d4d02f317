"""Moving in: what another installation holds, read and taken over.

Owns: reading a Casdoor or Hanzo database or an `init_data.json`, what each of its objects becomes here, the
order in which they are written, and the report of what was not taken over and why.
Does not own: any table (`directory`, `keys`, `sessions` write), how old hashes are compared with
(`signin.moved_passwords`), how it is printed (`cli`).
Hands to: `cli`.
"""
