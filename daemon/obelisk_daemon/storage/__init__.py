"""The database: what the daemon needs of one (`port`), and SQLite (`sqlite`). DESIGN.md section 9."""
