"""Freezing that holds: parameters and buffers stay as they are, bit for bit."""

from torch import nn

from helpers.base.errors import CourseError


class _StaysFrozen:
    """Stands in for a module's ``train``: whoever calls it, the module stays in eval mode."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __call__(self, mode: bool = True) -> nn.Module:
        return self.module


def freeze(module: nn.Module) -> nn.Module:
    """Keep every parameter and every buffer of a module as it is, bit for bit.

    Parameters get no gradient; BatchNorm and dropout stay in eval mode even after
    ``model.train()``, which would otherwise let running statistics move. Copies
    (`copy.deepcopy`, `torch.save` of the module) stay frozen; a network that merely loads the
    frozen one's ``state_dict`` has to be frozen itself.

    Returns:
        The same module.

    Raises:
        CourseError: something that is no module.
    """
    if not isinstance(module, nn.Module):
        raise CourseError(
            f"only a torch module can be frozen, not a value of type {type(module).__name__}; "
            "give the network or a part of it."
        )
    module.requires_grad_(False)
    for part in module.modules():
        part.eval()
        part.train = _StaysFrozen(part)  # type: ignore[method-assign]
        for parameter in part.parameters(recurse=False):
            parameter.grad = None  # an optimizer with momentum moves whatever has one
    return module
