"""`python -m netemu`."""

from netemu.cli.start import main

main()
