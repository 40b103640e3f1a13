"""From a manifest's bytes to an active generation: read, check, link."""
