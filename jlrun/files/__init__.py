"""Files: written whole or not at all, read within bounds, held by one process."""
