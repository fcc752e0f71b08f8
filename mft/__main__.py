"""`python -m mft` is the command `mft`."""

from mft.cli import main

main()
