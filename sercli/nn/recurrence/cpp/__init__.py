"""The fused CPU backend: a C++ kernel, compiled on first use.

``kernel/`` holds the C++: small products near the peak of a core, and the cells. It knows
nothing of particular activations: `generate` writes the C++ of an activation and of its
derivative from its Python formula, `build` compiles and caches both, `launch` runs them under
autograd and ``torch.func``.
"""
