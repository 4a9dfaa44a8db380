"""The fused GPU backend: Triton kernels, compiled on first use.

One program takes a tile of sequences through all of their steps, its recurrent weights in registers
or in shared memory; where they are too large, several programs have a slice of the units each and
exchange their states once per step. `kernel` holds the loops over time and `cells` the steps of the
cells; `generate` writes the Triton of an activation and of its derivative from its Python formula;
`layout` decides how the work is cut; `launch` runs the kernels under autograd and ``torch.func``.

The modules with kernels are imported on first use, so that triton is needed by nobody else.
"""
