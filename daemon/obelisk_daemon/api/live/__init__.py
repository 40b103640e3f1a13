"""What happens, as it happens: streams of server-sent events.

Two kinds. An execution's stream reads its log from the database, at its reader's own pace, so it neither loses nor
repeats. The daemon's stream is a window on the newest changes in memory: a reader that falls behind it is told so.
Both only wake up for commits. While nobody listens, a commit costs one look at two empty places.
"""
