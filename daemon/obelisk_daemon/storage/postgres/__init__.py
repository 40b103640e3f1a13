"""The store of several hosts: one PostgreSQL, to which each daemon commits in groups (DESIGN.md section 9)."""
