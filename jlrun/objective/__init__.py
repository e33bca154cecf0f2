"""The objective: how losses become an update."""
