"""Many runs from one command: checked, launched and summarised."""
