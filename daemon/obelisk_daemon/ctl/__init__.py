"""`obelisk-ctl`, the operator's tool. It talks HTTP to the daemon and imports none of its engine."""
