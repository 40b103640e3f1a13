"""`python -m obelisk_daemon.ctl`."""

from obelisk_daemon.ctl.main import main

main()
