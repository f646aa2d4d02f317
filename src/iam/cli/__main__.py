"""`python -m iam.cli`."""

from iam.cli.main import main

main()
