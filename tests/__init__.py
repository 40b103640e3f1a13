"""The tests. A package of its own, since httpbin installs one with this name: without this file, that one is found."""
