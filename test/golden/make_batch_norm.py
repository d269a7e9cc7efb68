#!/usr/bin/env python3
"""Makes batch_norm.json anew: python3 make_batch_norm.py > batch_norm.json

Batch norm's forward, gradients, forward mode, double backward and new running statistics by PyTorch on the CPU in
float64 (Debian: apt-get install python3-torch). Gradients come from torch.nn.functional.batch_norm; forward mode and
double backward go through primitives, because PyTorch's own double backward is wrong for bias without weight.
Tests need the file alone, not this script. Numbers differ from file to file unless PyTorch's generator is the same.
"""
import json
import sys

import torch

torch.set_default_dtype(torch.float64)
SHAPES = [[4, 3], [3, 2, 5], [2, 3, 4, 5], [2, 2, 3, 2, 2]]


def flat(tensor):
    return None if tensor is None else tensor.detach().reshape(-1).tolist()


def named(tensors):
    return {name: flat(tensor) for name, tensor in tensors.items()}


def per_channel(channels, like):
    """[c] seen as [1, c, 1, ...]"""
    return None if channels is None else channels.reshape([1, -1] + [1] * (like.dim() - 2))


def primitive(x, weight, bias, statistics, eps):
    """Batch norm of differentiable operations; `statistics` are the frozen ones, or None in training."""
    over = [0, *range(2, x.dim())]
    if statistics is None:
        mean = x.mean(over, keepdim=True)
        variance = ((x - mean) ** 2).mean(over, keepdim=True)
    else:
        mean, variance = (per_channel(s, x) for s in statistics)
    y = (x - mean) / torch.sqrt(variance + eps)
    if weight is not None:
        y = y * per_channel(weight, x)
    return y if bias is None else y + per_channel(bias, x)


def case(name, shape, training, has_weight, has_bias, tracked, momentum=0.1, eps=1e-5, offset=0.0):
    channels = shape[1]
    x = torch.randn(shape) + offset
    weight = torch.rand(channels) + 0.5 if has_weight else None
    bias = torch.randn(channels) if has_bias else None
    running_mean = torch.randn(channels) if tracked else None
    running_var = torch.rand(channels) + 0.5 if tracked else None
    inputs = {"x": x, "weight": weight, "bias": bias, "running_mean": running_mean, "running_var": running_var}
    statistics = None if training else (running_mean, running_var)

    primals = {k: v for k, v in inputs.items() if k in ("x", "weight", "bias") and v is not None}
    leaves = {k: v.clone().requires_grad_() for k, v in primals.items()}
    new_mean, new_var = (None if s is None else s.clone() for s in (running_mean, running_var))
    y = torch.nn.functional.batch_norm(
        leaves["x"], new_mean, new_var, leaves.get("weight"), leaves.get("bias"), training, momentum, eps
    )
    over = [0, *range(2, x.dim())]
    mean = x.mean(over) if training else running_mean
    variance = x.var(over, unbiased=False) if training else running_var
    outputs = {"y": y, "mean": mean, "invstd": 1 / torch.sqrt(variance + eps)}
    outputs |= {"running_mean": new_mean, "running_var": new_var}
    dy = torch.randn(shape)
    grads = torch.autograd.grad(y, list(leaves.values()), dy)

    names = list(primals)

    def function(*arguments):
        given = dict(zip(names, arguments))
        return primitive(given["x"], given.get("weight"), given.get("bias"), statistics, eps)

    tangents = {k: torch.randn_like(v) for k, v in primals.items()}
    _, y_tangent = torch.autograd.functional.jvp(function, tuple(primals.values()), tuple(tangents.values()))

    cotangents = {k: torch.randn_like(v) for k, v in primals.items()}
    again = [v.clone().requires_grad_() for v in primals.values()]
    ct = dy.clone().requires_grad_()
    first = torch.autograd.grad(function(*again), again, ct, create_graph=True)
    total = sum((cotangents[k] * g).sum() for k, g in zip(names, first))
    second = torch.autograd.grad(total, [ct, *again], allow_unused=True)
    filled = [torch.zeros_like(p) if g is None else g for g, p in zip(second, [ct, *again])]
    return {
        "id": name,
        "shape": shape,
        "training": training,
        "momentum": momentum,
        "eps": eps,
        "inputs": named(inputs),
        "outputs": named(outputs),
        "vjp": {"dy": flat(dy), "grads": named(dict(zip(names, grads)))},
        "jvp": {"tangents": named(tangents), "dy": flat(y_tangent)},
        "double_backward": {
            "cotangents": named(cotangents),
            "grads": named(dict(zip(["dy", *names], filled))),
        },
    }


def cases():
    for shape in SHAPES:
        rank = "x".join(map(str, shape))
        for training in (True, False):
            for has_weight, has_bias in ((1, 1), (1, 0), (0, 1), (0, 0)):
                for tracked in (True, False) if training else (True,):
                    mode = "train" if training else "eval"
                    suffix = "tracked" if tracked else "untracked"
                    name = f"{rank}/{mode}/w{has_weight}b{has_bias}/{suffix}"
                    yield case(name, shape, training, bool(has_weight), bool(has_bias), tracked)
    yield case("eps-large", [5, 4, 3], True, True, True, True, momentum=0.5, eps=0.6)
    yield case("offset-mean", [8, 3, 6, 6], True, True, True, True, offset=50.0)


torch.manual_seed(0)
json.dump({"source": f"PyTorch {torch.__version__} (CPU, float64)", "cases": list(cases())}, sys.stdout)
print()
