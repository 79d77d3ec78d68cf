"""From instructions to bytes: what the lanes of a vector hold, where values stand in memory, what threads share."""
