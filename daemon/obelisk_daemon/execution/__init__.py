"""The rules of executions: pure, without clock, randomness or I/O (DESIGN.md sections 4 and 6)."""
