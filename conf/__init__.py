"""The YAML of jlrun, shipped as the package ``jlrun.conf``."""
