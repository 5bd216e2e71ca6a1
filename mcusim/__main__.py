"""``python -m mcusim``: the command line where no script was installed."""

from mcusim.cli.main import main

main()
