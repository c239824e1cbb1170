"""The frame of every job: options, progress, cost, start-up, versions, and rows that survive a kill."""
