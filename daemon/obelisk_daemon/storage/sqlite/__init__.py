"""The default store: one SQLite file, one connection that writes, group commit at FULL (DESIGN.md section 9)."""
