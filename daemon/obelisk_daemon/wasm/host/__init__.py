"""The host interfaces of a guest beside WASI: `obelisk:log`, `obelisk:workflow` and calls of other components."""
