"""The machine in C (a compiled extension, ``autoconv.plan._machine``), and its instruction set, which Python and C share."""
