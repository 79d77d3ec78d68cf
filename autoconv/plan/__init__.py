"""The native machine: an exit of a program (``..program``) that runs batches in SIMD vectors, on several threads.

The way of a program, file by file:

- ``rewrite``: a rewrite for this machine alone, guarded by bounds at which the machine looks (factor_sums);
- ``spacing``: registers and addresses in ranges, so that nothing large is listed number by number; ``once``: what is
  worked out once for all layers of one kind;
- ``lower``: lines to ``instructions`` and ``contractions`` (``channelwise`` where channels do not see each other) on
  virtual registers, in fused ``kernel``s: movement ops by tables (movement), matrix products and convolutions
  (contraction with letters and channelwise, overlap), labels; what a later kernel computes again instead of loading it
  (rematerialise), what is the same for all examples (batch_invariant);
- ``assemble``: what the lanes of a vector hold (vector_layout), registers to addresses and instructions to words
  (assemble; by_examples or by_channels), tiles and strips (tiling), and tasks for threads that share a block
  (cooperative);
- ``run``: the assembled program, its order and the plan in words (native_program), the memory that kernels pass on
  (persistent), a run (native_run), the same plan for another size of the batch (other_batch), an optimiser's step in
  the same call (optimizer_step), and a step like the last one (repeated_step);
- ``native``: the machine in C, and its instruction set; ``extension``: whether it is there.

Nothing about speed leaks into the maths: the plain tape stays the oracle.
"""
