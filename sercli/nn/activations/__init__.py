"""Activations that can stand in the candidate state of a recurrent cell, by name.

An activation is a module that maps a tensor of any shape to one of the same shape, element
by element. To add one, register its class in a module of this folder and give it a file in
``conf/activation/``.
"""

from __future__ import annotations

from torch import nn

from sercli.registry import Registry

ACTIVATIONS: Registry[type[nn.Module]] = Registry("activation", "sercli.nn.activations")
