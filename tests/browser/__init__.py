"""Browser tests: a package, so that the browser ends with them. Its loop would be in the way of asynchronous tests."""
