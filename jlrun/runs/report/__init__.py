"""Report: one HTML page on a run, a sweep, a study or a folder of runs, with no network request."""
