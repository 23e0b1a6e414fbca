"""Tests in a real browser; a package, so that they share what is theirs alone."""
