"""`python -m netemu`."""

from netemu.cli.main import main

main()
