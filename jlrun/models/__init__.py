"""Models: encoders, fusion, sharing and heads as one network."""
