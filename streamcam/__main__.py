"""`python -m streamcam`."""

from streamcam.cli.app import main

main()
