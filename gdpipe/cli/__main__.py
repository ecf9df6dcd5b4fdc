"""`python -m gdpipe.cli`."""

from gdpipe.cli import main

main()
