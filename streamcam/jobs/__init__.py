"""Jobs from watched folders: intake, job store, runner."""
