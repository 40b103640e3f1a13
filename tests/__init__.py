"""All tests. A package of its own, since a dependency of theirs installs one of the same name."""
