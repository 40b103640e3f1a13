"""The HTTP API: what `obelisk-ctl`, programs and browsers see of the daemon (DESIGN.md section 10)."""
