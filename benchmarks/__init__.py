"""How fast it is. `make bench` measures, prints a table and writes benchmarks/results.json.

Every number stands beside a baseline of the same run on the same machine: a bare application under the
same server, a bare commit, a bare hash. What counts is the ratio.
"""
