"""Why an execution does not run: facts are read, pure rules make reasons of them, a route tells them."""
