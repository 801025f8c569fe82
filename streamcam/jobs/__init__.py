"""A folder's files as jobs: intake (watchdog, settling, rescans), ledger (SQLite), runner."""
