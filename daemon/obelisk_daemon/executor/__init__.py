"""Running what is due: the loops that lock, the runs of activities and workflows, timers, takeover, cancellation."""
