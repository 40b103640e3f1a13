"""The web UI: pages of our own HTML, CSS and JavaScript, which talk to `/v1` like any other client."""
