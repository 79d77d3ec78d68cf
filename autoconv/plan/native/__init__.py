"""The machine in C, compiled as ``autoconv.plan._machine``, and the instruction set that Python and C share."""
