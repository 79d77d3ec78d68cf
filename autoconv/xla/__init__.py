"""XLA, an exit of a program (``..program``) through JAX: processors, GPUs and TPUs, and many of them.

- ``library``: JAX, imported when it is needed, and 64-bit numbers without a switch for the whole process;
- ``column``: the table's column for XLA, one function for each row;
- ``patterns``: convolutions among the lines of a program; ``tournaments``: maxima over axes, and their sweeps;
- ``lower``: a program as a function of JAX's arrays (``Lowered``), which may be traced by whatever traces;
- ``function``: ``ac.to_jax``, a function of autoconv for those who write JAX;
- ``placement``: where the arrays lie; ``resident``: numbers of Tensors and optimisers that stay there until
  somebody reads them; ``attributes``: those of objects, as running statistics;
- ``optimizer_step``: an optimiser's update in the same computation;
- ``run``: the executor (``XlaRun``), through which arguments, shardings and donation go.

What runs is the recorded program, its sweep included; JAX differentiates nothing but the product of a convolution,
which is linear in each operand.
"""
