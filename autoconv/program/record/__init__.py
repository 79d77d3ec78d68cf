"""What is recorded: the lines of a function, and what else it reads, by which a recording holds or not."""
